/**
 * What uvicorn is to the Python steps: it listens, makes calls of upgrades, and ends them.
 */

import { on } from "node:events";
import { createServer } from "node:http";

import { WebSocketServer } from "ws";

const CALL_PATH = /^\/llm-websocket\/([\w.~%-]+)(?:\?.*)?$/;
const NOT_FOUND = "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
const MESSAGE_BYTES = 2 ** 20; // every message holds the whole transcript, so they grow
const WAITING_MESSAGES = 16;
const QUIET_MS = 20_000; // then TCP asks whether the peer is still there
const DRAIN_MS = 500;

/**
 * Serve an Express app, and with it every call at `/llm-websocket/{call_id}`.
 *
 * @param {import("express").Express} app the server's other routes
 * @param {CallHandler} handler what to do with one call
 */
export function serve(app, handler) {
  const server = createServer({ keepAlive: true, keepAliveInitialDelay: QUIET_MS }, app);
  const calls = new WebSocketServer({
    noServer: true,
    maxPayload: MESSAGE_BYTES,
    perMessageDeflate: false, // costs more than it saves on short messages
  });

  server.on("upgrade", (request, socket, head) => {
    const callId = CALL_PATH.exec(request.url)?.[1];
    if (callId === undefined) refuse(socket);
    else calls.handleUpgrade(request, socket, head, (ws) => hold(ws, callId, handler));
  });
  server.listen(Number(process.env.PORT || 3000), "127.0.0.1", () => {
    console.log(`Serving calls at ws://127.0.0.1:${server.address().port}/llm-websocket/`);
  });
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stop(server, calls));
}

/**
 * Every message of a call as `[data, isBinary]`, in order, until the call ends.
 *
 * Listening begins with this call, not with the loop: nothing is lost in between. When the loop
 * falls behind, the peer is not read from until it has caught up.
 *
 * @param {import("ws").WebSocket} ws
 */
export function messagesOf(ws) {
  return on(ws, "message", { close: ["close"], highWaterMark: WAITING_MESSAGES });
}

/**
 * Hold one call: whatever goes wrong in it ends this call, and no other.
 *
 * @param {import("ws").WebSocket} ws
 * @param {string} callId
 * @param {CallHandler} handler
 */
async function hold(ws, callId, handler) {
  // What goes wrong on the socket is thrown in the handler's loop. After the loop nobody would
  // listen, and an "error" event without a listener ends the process, with every call in it.
  ws.on("error", () => {});
  console.log("call %j: connected", callId);
  try {
    await handler(ws, callId);
  } catch (error) {
    console.error("Error received in LLM websocket client:", error);
    ws.terminate();
  }
  ws.resume(); // the answer to a close must be read even when messages were held back
  console.log("call %j: closed", callId);
}

/**
 * Answer an upgrade that leads nowhere, before it becomes a WebSocket.
 *
 * @param {import("node:stream").Duplex} socket
 */
function refuse(socket) {
  socket.on("error", () => {}); // the peer may be gone; see above
  socket.end(NOT_FOUND, () => socket.destroy());
}

/**
 * Take no new calls, tell the open ones that the server goes away, and leave.
 *
 * @param {import("node:http").Server} server
 * @param {WebSocketServer} calls
 */
function stop(server, calls) {
  server.close();
  calls.close();
  for (const ws of calls.clients) ws.close(1012, "Service restart");
  setTimeout(() => process.exit(), DRAIN_MS).unref(); // for peers that do not answer
}

/**
 * @callback CallHandler
 * @param {import("ws").WebSocket} ws the connection of the call, open
 * @param {string} callId the last segment of the path, percent-encoded as it came
 * @returns {Promise<void>} settles when nothing of the call is to be read any more
 */
