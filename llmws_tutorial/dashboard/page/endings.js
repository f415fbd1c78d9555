// Why calls end: every disconnection_reason of the platform, in words.

const WORDS = {
  agent_hangup: "The agent hung up.",
  user_hangup: "The caller hung up.",
  call_transfer: "The agent transferred the call.",
  inactivity: "Nobody said a word for too long.",
  max_duration_reached: "It was as long as a call may be.",
  error_llm_websocket_open: "The socket never opened, or the server closed it without a code.",
  error_llm_websocket_runtime: "The socket broke, or the server closed it with the code of an error.",
  error_llm_websocket_lost_connection: "The server's heartbeat stopped, or it could not be dialled again.",
  error_llm_websocket_corrupt_payload: "The server sent what no server may send.",
  error_unknown: "Something went wrong that no document foresees.",
};

/** Why a call ended, in a sentence; empty while it goes on. */
export function ending({ status }) {
  if (status.trouble) return status.trouble;
  if (!status.ended) return "";
  const to = status.transferred_to ? ` It went to ${status.transferred_to}.` : "";
  return (WORDS[status.ended] ?? status.ended) + to;
}

/** The same in the platform's words: its reason, and the close code if there was one. */
export function reason({ status }) {
  const code = status.close_code ? `, close code ${status.close_code}` : "";
  return status.ended ? `disconnection_reason: ${status.ended}${code}` : "";
}
