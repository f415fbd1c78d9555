// A scenario that is written in the page: proofread while it is typed, played like every other.

import { connection, store } from "../app.js";
import { button, fill, h } from "../dom.js";
import { recall, remember } from "../memory.js";

const KEY = "llmws scenario";
const TYPING_MS = 300;
const SAMPLE = `scenario: A caller in a hurry
about: It talks over the answer, and is never heard to say "never mind" by the agent.

caller:
  - say: Good morning, when are you open?
    expect:
      silent: false
      first_sentence_within_ms: 2000
  - say: Never mind, can I come on Sunday?
    after_words: 3

expect:
  not_said: never mind
  ends: user_hangup
`;

class OwnScenario extends HTMLElement {
  #gone = null;
  #parts = {};
  #typing = 0;
  #asked = 0; // how often it was sent to be proofread, and not answered yet
  #told = null; // what is said of it

  connectedCallback() {
    this.#gone = new AbortController();
    const { signal } = this.#gone;
    this.#build();
    store.on("connected", () => this.#begin(), signal);
    store.on("proofread", (found) => this.#show(found), signal);
  }

  disconnectedCallback() {
    this.#gone.abort();
    clearTimeout(this.#typing);
  }

  #build() {
    const parts = this.#parts;
    parts.text = h("textarea", {
      class: "field mono",
      id: "own-scenario",
      rows: "14",
      maxlength: "65536",
      spellcheck: "false",
      autocomplete: "off",
      wrap: "off",
      "aria-describedby": "own-scenario-says",
      oninput: () => this.#typed(),
    });
    parts.text.value = recall(KEY) ?? SAMPLE;
    parts.says = h("div", { id: "own-scenario-says", role: "status" });
    parts.aloud = button("Hear yours", () => this.#play(true), { disabled: true });
    parts.fast = button("Play yours fast", () => this.#play(false), { disabled: true });
    this.replaceChildren(
      h("label", { for: "own-scenario", class: "muted" }, "Written as YAML; docs/scenarios.md has all of it"),
      parts.text,
      parts.says,
      h(
        "div",
        { class: "toolbar" },
        parts.aloud,
        parts.fast,
        button("Back to the example", () => this.#reset(), { class: "button quiet" }),
      ),
    );
  }

  #begin() {
    this.#asked = 0;
    this.#proofread();
  }

  #typed() {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.#proofread(), TYPING_MS);
    this.#enable(false);
  }

  #proofread() {
    const text = this.#parts.text.value;
    remember(KEY, text === SAMPLE ? null : text);
    if (connection.send({ type: "proofread", text })) this.#asked += 1;
  }

  #show({ text, title, calls }) {
    this.#asked -= 1;
    if (this.#asked > 0) return; // it was changed since
    const { says, text: field } = this.#parts;
    const isRight = text === "";
    field.setAttribute("aria-invalid", !isRight);
    this.#enable(isRight, calls);
    if (this.#told === `${title} ${text}`) return; // said again, it would be read out again
    this.#told = `${title} ${text}`;
    fill(
      says,
      isRight
        ? h("span", { class: "badge good" }, "can be played")
        : h("span", { class: "badge bad" }, "not yet a scenario"),
      ` ${isRight ? title : text} `,
      this.#wayTo(text),
    );
  }

  #enable(isRight, calls = 1) {
    this.#parts.fast.disabled = !isRight;
    this.#parts.aloud.disabled = !isRight || calls > 1;
  }

  /** A button that goes to where an error is; null when it names no place. */
  #wayTo(error) {
    const found = error.match(/^line (\d+), column (\d+):/);
    if (found === null) return null;
    const [line, column] = [Number(found[1]), Number(found[2])];
    return button(`Go to line ${line}`, () => this.#goTo(line, column), { class: "button quiet" });
  }

  #goTo(line, column) {
    const { text } = this.#parts;
    const before = text.value.split("\n").slice(0, line - 1);
    const start = before.reduce((sum, one) => sum + one.length + 1, 0) + column - 1;
    const end = text.value.indexOf("\n", start);
    text.focus();
    text.setSelectionRange(start, end < 0 ? text.value.length : end);
  }

  #reset() {
    this.#parts.text.value = SAMPLE;
    this.#typed();
  }

  #play(isAloud) {
    this.dispatchEvent(new CustomEvent("own-play", { detail: { text: this.#parts.text.value, isAloud } }));
  }
}

customElements.define("llmws-own-scenario", OwnScenario);
