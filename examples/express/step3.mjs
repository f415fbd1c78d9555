/**
 * Step 3 of the guide: the endpoint and the dummy responder, wired together.
 *
 * One object per call: greet, then answer frame by frame. A frame that no platform sends ends the
 * call with close code 1002, and nothing after it is read.
 */

import { promisify } from "node:util";

import express from "express";

import { messagesOf, serve } from "./serve.mjs";

const app = express();
app.get("/", (_request, response) => response.type("text/plain").send("Hello World!"));

/**
 * What one side said in one go.
 * @typedef {{ role: "agent" | "user", content: string }} Utterance
 *
 * What the platform sends: a live transcript, and whether it wants an answer.
 * @typedef {object} Request
 * @property {number} [response_id] absent on update_only: there is nothing to answer
 * @property {Utterance[]} transcript
 * @property {"update_only" | "response_required" | "reminder_required"} interaction_type
 *
 * What your server sends: something for the agent to say.
 * @typedef {object} Response
 * @property {number} [response_id] the id of the request it answers; 0 for the first message
 * @property {string} content
 * @property {boolean} content_complete
 * @property {boolean} end_call
 *
 * @typedef {import("ws").WebSocket} WebSocket
 */

/** A response system without a model: one greeting, and one answer to everything. */
class LLMDummyMock {
  /** Greet the caller: the first message answers no request, so its id is 0. */
  async beginMessage(/** @type {WebSocket} */ ws) {
    await send(ws, { response_id: 0, ...speech("How may I help you?") });
  }

  /**
   * Apologise when an answer is wanted; stay quiet on a mere update.
   *
   * @param {Request} request
   * @param {WebSocket} ws
   */
  async draftResponse(request, ws) {
    if (request.interaction_type === "update_only") return;
    const { response_id } = request;
    try {
      await send(ws, { response_id, ...speech("I am sorry, can you say that again?") });
    } catch (error) {
      console.error("Error in sending a response:", error);
    }
  }
}

/** Put a text into a complete response; whoever sends it adds the id. */
function speech(/** @type {string} */ content) {
  return { content, content_complete: true, end_call: false };
}

/**
 * Send a response; done when the socket has taken it, so that a slow peer slows us down.
 *
 * @param {WebSocket} ws
 * @param {Response} response
 */
async function send(ws, response) {
  await promisify(ws.send).call(ws, JSON.stringify(response));
}

/** A frame that no platform would send; the text is the reason to close with. */
class BadFrame extends Error {}

/**
 * Read one frame as a request.
 *
 * @param {Buffer} data what came; `ws` hands on text as bytes, too
 * @param {boolean} isBinary whether it came as a binary frame
 * @returns {Request}
 */
function parse(data, isBinary) {
  if (isBinary) throw new BadFrame("Cannot find corresponding Retell LLM.");
  const request = parseOrNull(data.toString());
  const isObject = typeof request === "object" && request !== null && !Array.isArray(request);
  if (!isObject) throw new BadFrame("Cannot parse incoming message.");
  return request;
}

/** Read JSON; null, which is no request either, stands for what is none. */
function parseOrNull(/** @type {string} */ text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * Hold one call: greet, answer every request, close on a frame of nobody we know.
 *
 * @type {import("./serve.mjs").CallHandler}
 */
async function llmWebsocket(ws, callId) {
  const messages = messagesOf(ws); // from here on nothing is lost
  const llm = new LLMDummyMock();
  try {
    await llm.beginMessage(ws);
    for await (const [data, isBinary] of messages) {
      await llm.draftResponse(parse(data, isBinary), ws);
    }
  } catch (error) {
    if (!(error instanceof BadFrame)) throw error;
    console.error("call %j: %s", callId, error.message);
    ws.close(1002, error.message);
  }
}

serve(app, llmWebsocket);
