// What a frame means, in one sentence for each kind: docs/protocol.md, sections 3 to 5.

const PLATFORM = {
  ping_pong: "A heartbeat: the server echoes it within 5 s, or the platform closes the socket and dials again.",
  call_details: "Who is calling, and how; it comes once, if the server's config asked for it.",
  update_only: "What was said so far. The server answers nothing.",
  response_required: "The caller has finished: the server answers under this response_id, until a newer request comes.",
  reminder_required: "The caller is quiet: the server nudges under this response_id, or says nothing with an empty, complete response.",
};

const SERVER = {
  config: "What the server asks the platform for; it takes effect when it arrives, so it comes first.",
  ping_pong: "The echo of a heartbeat.",
  response: "A piece of the answer to the request with this response_id, spoken as it comes; 0 is the greeting.",
  agent_interrupt: "A piece of text that is spoken over whoever speaks, and cancels the answer that goes on.",
  tool_call_invocation: "A note that the server calls a tool; it lands in transcript_with_tool_calls.",
  tool_call_result: "A note of what a tool returned; it lands in transcript_with_tool_calls.",
  update_agent: "Changes how the agent behaves from now on: its responsiveness, how it is interrupted, its reminders.",
  metadata: "Data for a web page that shows the call; the platform hands it on and does not speak it.",
  binary: "A binary frame: the protocol has none, so the platform closes the socket with 1007.",
  "not a message": "This is no message: the platform drops it without a word, and the agent stays mute.",
};

const GARBLED = "No message of the platform: it was sent by hand or by a scenario, to see what the server does with it.";
const UNKNOWN = "No document says what this is: whoever does not know a kind ignores it.";

/** What a frame means, by its row: {sender, kind}. */
export function meaning({ sender, kind }) {
  const known = sender === "platform" ? PLATFORM : SERVER;
  if (Object.hasOwn(known, kind)) return known[kind];
  return sender === "platform" && kind === "not a message" ? GARBLED : UNKNOWN;
}
