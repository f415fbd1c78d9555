// A button that copies a text, and says in its own words whether it could.

import { h } from "./dom.js";

const SAYS_MS = 2000;

/**
 * @param {string} label - what the button says.
 * @param {() => string} text - the text, when it is wanted.
 * @param {object} [properties] - further ones of the button.
 */
export function copyButton(label, text, properties = {}) {
  const says = h("span", { role: "status" }, label);
  let waiting = 0;

  async function copy() {
    try {
      await navigator.clipboard.writeText(text());
      says.textContent = "Copied";
    } catch {
      says.textContent = "The browser does not let this page copy";
    }
    clearTimeout(waiting);
    waiting = setTimeout(() => (says.textContent = label), SAYS_MS);
  }

  return h("button", { type: "button", class: "button quiet", onclick: copy, ...properties }, says);
}
