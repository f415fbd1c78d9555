// What a caller can do: type, say a phrase, interrupt, stay silent, mumble, press keys.

import { connection, store } from "../app.js";
import { button, fill, h } from "../dom.js";

const INTERRUPTION = "Wait, one moment.";
const DIGITS = [..."123456789*0#"];

class SayBox extends HTMLElement {
  #field = h("input", {
    class: "field",
    type: "text",
    "aria-label": "Say something",
    placeholder: "Say something",
    autocomplete: "off",
    dir: "auto",
  });
  #phrases = h("div", { class: "phrases", role: "group", "aria-label": "Phrases" });
  #typed = h("output", { class: "mono", "aria-label": "Keys pressed" });
  #isThere = null; // somebody to talk to

  connectedCallback() {
    const act = (text, command, title) => button(text, () => connection.send(command), { title });
    this.append(
      h("form", { onsubmit: (event) => this.#say(event) }, this.#field, h("button", { class: "button primary" }, "Say")),
      this.#phrases,
      h(
        "div",
        { class: "toolbar" },
        act("Interrupt", { type: "say", text: INTERRUPTION }, `Say "${INTERRUPTION}" over the agent`),
        act("Stay silent", { type: "skip_silence" }, "Let the rest of a silence pass at once"),
        act("Mumble", { type: "mumble" }, "Say something that cannot be understood"),
        this.#keypad(),
      ),
    );
    for (const type of ["connected", "disconnected", "shown", "status"]) store.on(type, () => this.#show());
    store.on("connected", () => this.#offer());
    document.addEventListener("llmws-key", ({ detail }) => {
      if (detail.key === "say") this.#field.focus();
      if (detail.key === "interrupt" && this.#isThere) connection.send({ type: "say", text: INTERRUPTION });
    });
    this.#show();
  }

  #say(event) {
    event.preventDefault();
    const text = this.#field.value;
    if (!text.trim() || !this.#isThere || !connection.send({ type: "say", text })) return;
    this.#field.value = "";
  }

  #offer() {
    const chip = (text) => button(text, () => connection.send({ type: "say", text }), { class: "button phrase" });
    fill(this.#phrases, store.hello.phrases.map(chip));
    this.#isThere = null;
    this.#show();
  }

  #keypad() {
    const press = (digits) => {
      connection.send({ type: "press", digits });
      this.#typed.textContent = (this.#typed.textContent + digits).slice(-20);
    };
    const close = (event) => {
      event.currentTarget.open = false;
      event.preventDefault(); // the call goes on
      event.currentTarget.firstChild.focus();
    };
    return h(
      "details",
      {
        class: "keypad",
        onkeydown: (event) => event.key === "Escape" && event.currentTarget.open && close(event),
        onfocusout: (event) => (event.currentTarget.open &&= event.currentTarget.contains(event.relatedTarget)),
      },
      h("summary", { class: "button" }, "Keypad"),
      h(
        "div",
        { role: "group", "aria-label": "Keypad" },
        DIGITS.map((digit) => button(digit, () => press(digit), { class: "button mono" })),
        this.#typed,
      ),
    );
  }

  /** All of it rests where nobody can be talked to; one may type ahead, though. */
  #show() {
    const { live } = store;
    const isThere = store.isConnected && store.isLive && store.isCalling && live.status.is_open;
    if (!isThere) this.#typed.textContent = "";
    if (isThere === this.#isThere) return;
    this.#isThere = isThere;
    this.#phrases.tabIndex = isThere ? -1 : 0; // it may scroll, and nothing in it takes the focus
    const hadFocus = this.contains(document.activeElement);
    for (const one of this.querySelectorAll("button")) one.disabled = !isThere;
    if (hadFocus && document.activeElement !== this.#field && !isThere) this.#field.focus();
  }
}

customElements.define("llmws-say-box", SayBox);
