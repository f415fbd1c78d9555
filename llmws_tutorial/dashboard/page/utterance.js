// One utterance of a conversation, as an element for eyes and as a line for ears.

import { ending, reason } from "./endings.js";
import { h, ms, size } from "./dom.js";

const LOST = "the connection is lost"; // how the line of the log begins where the platform dials again
const LONG = 1200; // characters, from which on an utterance scrolls by itself

/** The first characters of a text as Python counts them: an emoji is one. */
export function cut(text, length) {
  let end = 0;
  for (let left = length; left > 0 && end < text.length; left -= 1) {
    end += text.codePointAt(end) > 0xffff ? 2 : 1;
  }
  return [text.slice(0, end), text.slice(end)];
}

/** Whether nothing of an item will change any more. */
export function isFinal(item, call) {
  if (call.status.is_over !== false) return true;
  if (item.role === "agent") return item.is_over || item.is_cut || hasFollower(item, call);
  return !call.status.is_caller_talking || hasFollower(item, call);
}

function hasFollower(item, { items }) {
  return items.findLastIndex(({ role }) => role === item.role) > item.place;
}

/** Whether there is something to show: a greeting that never came is none. */
export function isShown(item, call) {
  if (item.sent !== "" || item.kind !== "greeting") return true;
  return isFinal(item, call) && call.status.connections > 0;
}

/** An item in one line, for a screen reader. */
export function line(item, call) {
  if (item.role === "user") return `${caller(call)}: ${item.sent}`;
  if (item.sent === "") return `Agent: ${silence(item, call)}`;
  const [heard, rest] = cut(item.sent, item.heard_to);
  if (!rest.trim()) return `Agent: ${heard}`;
  return `Agent${item.is_cut ? ", interrupted" : ""}: ${heard} Not heard: ${rest}`;
}

/** An item as an entry of the list. */
export function utterance(item, call) {
  return h(
    "li",
    { class: `utterance ${item.role}` },
    h("p", { class: "who" }, h("strong", {}, item.role === "user" ? caller(call) : "Agent"), facts(item, call)),
    text(item, call),
  );
}

function caller({ title }) {
  return title ? "Caller" : "You";
}

/** The small print of an agent's turn: what it was for, how fast it was, what it did. */
function facts(item, call) {
  if (item.role === "user") return [];
  const id = item.kind === "interrupt" ? "interrupt_id" : "response_id";
  return [
    fact(item.kind),
    fact(`${id} ${item.id}`),
    item.first_sentence_ms !== null && fact(`first sentence ${ms(item.first_sentence_ms)}`),
    item.action && action(item, call),
  ].filter(Boolean);
}

function fact(words) {
  return h("span", { class: "fact" }, words);
}

function action(item, call) {
  if (item.has_acted) return h("span", { class: "badge good" }, `${item.action}: done`);
  if (isFinal(item, call)) return h("span", { class: "badge bad" }, `${item.action}: forgotten`);
  return h("span", { class: "badge" }, `${item.action}: to come`);
}

/** What was said; of the agent's words, what was heard apart from the rest. */
function text(item, call) {
  if (item.sent === "") return h("p", { class: "muted" }, silence(item, call));
  const isLong = item.sent.length > LONG;
  const more = item.size - [...item.sent].length;
  const end = more > 0 ? h("span", { class: "fact" }, ` and ${size(more)} characters more`) : null;
  const properties = { class: isLong ? "said long" : "said", dir: "auto", tabindex: isLong && "0", role: isLong && "group" };
  if (isLong) properties["aria-label"] = "A long utterance";
  if (item.role === "user") return h("p", properties, item.sent, end);
  const [heard, rest] = cut(item.sent, item.heard_to);
  return h("p", properties, heard, mark(item, heard), left(item, rest, call), end);
}

/** Why there are no words yet, or never were; an error in a server's handler mostly shows as a lost line. */
function silence(item, call) {
  const lost = call.log.find(({ at_s: at, text }) => at >= item.asked_at_s && text.startsWith(LOST));
  const isIts = lost && call.items.findLast(({ asked_at_s: at }) => at <= lost.at_s) === item;
  if (isIts) return "nothing was sent: the line was lost, and the platform dialled again; if the server lost it, its log says why";
  return isFinal(item, call) ? "nothing was sent" : "…";
}

function mark(item, heard) {
  if (!item.is_cut) return null;
  return h("span", { class: "cut" }, heard.trim() ? "interrupted here" : "interrupted before a word was heard");
}

/** The words that were not heard, or not yet. */
function left(item, rest, call) {
  if (!rest.trim()) return rest || null;
  if (!isFinal(item, call)) return h("span", { class: "coming" }, rest);
  return [" ", h("span", { class: "label" }, "not heard:"), " ", h("s", { class: "unheard" }, rest.trim())];
}

/** How a call ended, as the last entry of the list; null while it goes on. */
export function lastEntry(call) {
  const words = ending(call);
  if (!words) return null;
  const isBad = call.status.trouble || call.status.ended?.startsWith("error_");
  return h(
    "li",
    { class: isBad ? "end bad" : "end" },
    h("p", {}, call.status.trouble ? `The call did not come about: ${words}` : words),
    h("p", { class: "muted mono" }, reason(call)),
  );
}
