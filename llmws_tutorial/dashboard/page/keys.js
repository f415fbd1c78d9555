// The keys of the page: each becomes an event `llmws-key` on the document, for whoever obeys it.
//
// They rest while somebody types or a dialog is open, and can be switched off altogether: single
// letters get in the way of speech input (WCAG 2.1.4).

import { recall, remember } from "./memory.js";

const KEY = "llmws keys";

/** Every key: what one presses, what it is called in the event, what it does in words. */
export const KEYS = [
  { key: "c", name: "call", does: "Make a web call" },
  { key: "Escape", shown: "Esc", name: "hang-up", does: "Hang up; in a field: leave it" },
  { key: " ", shown: "Space", name: "talk", does: "Talk while it is held" },
  { key: "/", name: "say", does: "Go to the box in which you type what to say" },
  { key: "i", name: "interrupt", does: "Interrupt the agent" },
  { key: "j", name: "next-frame", does: "Next frame" },
  { key: "k", name: "previous-frame", does: "Previous frame" },
  { key: "Enter", name: "open-frame", does: "Open the frame" },
  { key: "f", name: "filter", does: "Filter the frames" },
  { key: "?", name: "help", does: "This help" },
];

let areOn = recall(KEY) ?? true;

/** Whether the keys are on. */
export function areKeysOn() {
  return areOn;
}

/** Switch the keys on or off, on every visit from now on. */
export function switchKeys(isOn) {
  areOn = isOn;
  remember(KEY, isOn);
}

let isTalking = false;

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  const { target } = event;
  if (isTypedInto(target)) {
    if (event.key === "Escape") target.blur();
    return;
  }
  const found = KEYS.find(({ key }) => key === event.key);
  if (found === undefined || !areOn || document.querySelector("dialog[open]")) return;
  if (event.key === " ") talk(event);
  else if (event.key !== "Enter" || !isPressed(target)) press(found.name, event);
});

document.addEventListener("keyup", (event) => {
  if (event.key === " " && isTalking) stopTalking();
});

// A key that is let go elsewhere is never seen to go up.
window.addEventListener("blur", () => isTalking && stopTalking());

// A button that was clicked with a mouse keeps no focus: the next Space is there to talk.
document.addEventListener("click", ({ detail, target }) => {
  const button = target.closest("llmws-call-bar button, llmws-sound-bar button, llmws-say-box button");
  if (detail > 0 && areOn && !target.closest(".keypad")) button?.blur();
});

function press(name, event) {
  event.preventDefault();
  if (!event.repeat || name.endsWith("-frame")) tell(name);
}

/** Space is held: it talks, unless it would press what has the focus, or nobody listens. */
function talk(event) {
  if (isPressed(event.target)) return;
  if (!isTalking && !event.repeat) isTalking = tell("talk-start");
  if (isTalking) event.preventDefault();
}

function stopTalking() {
  isTalking = false;
  tell("talk-stop");
}

/** Tell of a key; true when somebody obeyed it and said so with `preventDefault`. */
function tell(key) {
  return !document.dispatchEvent(new CustomEvent("llmws-key", { detail: { key }, cancelable: true }));
}

/** Whether an element takes letters. */
function isTypedInto(element) {
  if (element.isContentEditable) return true;
  return element.matches("textarea, select, input:not([type=checkbox], [type=radio], [type=button])");
}

/** Whether Space or Enter means something to an element. */
function isPressed(element) {
  return element.closest("button, a, summary, input, [role=tab]") !== null;
}
