// A button that copies a text, and says whether it could.

import { button, h } from "./dom.js";

const SAYS_MS = 2000;

/**
 * @param {string} label - what the button says.
 * @param {() => string} text - the text, when it is wanted.
 * @param {object} [properties] - further ones of the button.
 */
export function copyButton(label, text, properties = {}) {
  const copies = button(label, copy, { class: "button quiet", ...properties });
  const told = h("span", { role: "status", class: "visually-hidden" }); // inside the button nobody would hear it
  let waiting = 0;

  async function copy() {
    try {
      await navigator.clipboard.writeText(text());
      say("Copied");
    } catch {
      say("The browser does not let this page copy");
    }
  }

  function say(words) {
    copies.textContent = told.textContent = words;
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      copies.textContent = label;
      told.textContent = "";
    }, SAYS_MS);
  }

  return h("span", { class: "copy" }, copies, told);
}
