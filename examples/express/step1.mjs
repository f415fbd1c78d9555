/**
 * Step 1 of the guide: a WebSocket route beside the routes of an ordinary server.
 *
 * It logs what arrives and says nothing yet: the first message comes with step 3.
 */

import express from "express";

import { messagesOf, serve } from "./serve.mjs";

const app = express();
app.get("/", (_request, response) => response.type("text/plain").send("Hello World!"));

/**
 * Hold the connection of one call and log every message on it.
 *
 * @type {import("./serve.mjs").CallHandler}
 */
async function llmWebsocket(ws, callId) {
  for await (const [data] of messagesOf(ws)) {
    console.log("call %j: received %j", callId, data.toString());
  }
}

serve(app, llmWebsocket);
