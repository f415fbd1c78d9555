// Saves the recording of a call as a file: every frame, in the format of docs/recordings.md.

import { connection } from "./app.js";
import { h } from "./dom.js";

/**
 * Fetch a recording and hand it to the browser to save.
 *
 * @returns {Promise<string>} what went wrong, in words; empty when nothing did.
 */
export async function saveRecording(callId) {
  let answer;
  try {
    answer = await fetch(new URL(`calls/${callId}.jsonl`, document.baseURI), {
      headers: { Authorization: `Bearer ${connection.token}` },
    });
    if (!answer.ok) return `the recording did not come: ${await answer.text()}`;
    save(await answer.blob(), `${callId}.jsonl`);
  } catch {
    return "the recording did not come: is the dashboard still running?";
  }
  return "";
}

function save(blob, name) {
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // once it has been read
}
