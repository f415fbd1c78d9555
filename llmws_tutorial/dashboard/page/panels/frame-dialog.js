// One frame in full: what it means, all of it as text, to copy, to edit and to send again.
//
// The panel that owns it says which frame with `show`; it asks for a neighbour with `frame-step`.

import { connection, store } from "../app.js";
import { button, fill, h, seconds, size } from "../dom.js";
import { laidOut } from "../json-text.js";
import { areKeysOn } from "../keys.js";
import { meaning } from "../meanings.js";

const STEPS = { j: 1, k: -1 };
const SHOWN_AT_ONCE = 200_000; // characters; more takes a browser a moment
const MOST_SENT = 2 ** 19; // characters; what the dashboard takes from a page

class FrameDialog extends HTMLElement {
  #gone = null;
  #callId = "";
  #row = null;
  #text = null; // all of the frame; null until it has come
  #parts = {};

  connectedCallback() {
    this.#gone = new AbortController();
    this.#build();
    store.on("whole", (event) => this.#take(event), this.#gone.signal);
    store.on("trouble", ({ text }) => this.#fail(text), this.#gone.signal);
    for (const type of ["status", "call", "shown"]) store.on(type, () => this.#allowSending(), this.#gone.signal);
  }

  disconnectedCallback() {
    this.#gone.abort();
  }

  get isOpen() {
    return this.#parts.dialog?.open ?? false;
  }

  /**
   * Show a frame.
   *
   * @param {string} callId - its call: the current one or one on disk.
   * @param {object} row - the frame as the list has it.
   * @param {{hasPrevious: boolean, hasNext: boolean}} neighbours - whether there are frames beside it.
   */
  show(callId, row, { hasPrevious, hasNext }) {
    const { dialog, edit, previous, next, pre } = this.#parts;
    const isSame = this.isOpen && this.#callId === callId && this.#row?.n === row.n;
    previous.disabled = !hasPrevious;
    next.disabled = !hasNext;
    if (document.activeElement?.disabled) pre.focus(); // a disabled button would swallow the keys
    if (isSame) return; // only what is beside it is new
    this.#callId = callId;
    this.#row = row;
    this.#text = null;
    edit.hidden = true;
    this.#describe(row);
    this.#showText("Loading the frame …");
    const isAsked = connection.send({ type: "show_frame", call_id: callId, number: row.n });
    if (!isAsked) this.#fail("the dashboard does not answer: is it still running?");
    if (!dialog.open) dialog.showModal();
  }

  close() {
    this.#parts.dialog.close();
  }

  #build() {
    const parts = this.#parts;
    parts.title = h("h2", { id: "frame-title" });
    parts.facts = h("p", { class: "mono" });
    parts.meaning = h("p");
    parts.dropped = h("p", { class: "frame-dropped" });
    parts.previous = button("Previous", () => this.#step(-1));
    parts.next = button("Next", () => this.#step(1));
    parts.copy = button("Copy as JSON", () => this.#copy());
    parts.again = button("Edit and send again", () => this.#beginEdit(), { "aria-describedby": "frame-why-not" });
    parts.whyNot = h("p", { id: "frame-why-not", class: "muted frame-why-not" });
    parts.status = h("p", { role: "status", class: "muted" });
    parts.pre = h("pre", { class: "frame-text mono scroll", tabindex: "0", role: "region", "aria-label": "All of the frame", autofocus: true });
    parts.all = button("", () => this.#showAll(), { hidden: true });
    parts.edit = this.#buildEdit();
    const steps = h("div", { class: "toolbar" }, parts.previous, parts.next, button("Close", () => this.close()));
    parts.dialog = h(
      "dialog",
      { class: "frame-dialog", "aria-labelledby": "frame-title", onkeydown: (event) => this.#press(event) },
      h("header", { class: "frame-head" }, parts.title, steps),
      parts.facts,
      parts.dropped,
      parts.meaning,
      h("div", { class: "toolbar" }, parts.copy, parts.again, parts.status),
      parts.whyNot,
      parts.edit,
      parts.pre,
      parts.all,
    );
    fill(this, parts.dialog);
  }

  #buildEdit() {
    this.#parts.area = h("textarea", { id: "frame-edit", class: "field mono", rows: "8", spellcheck: "false", autocomplete: "off" });
    const submit = (event) => {
      event.preventDefault();
      this.#send();
    };
    return h(
      "form",
      { class: "frame-edit", hidden: true, onsubmit: submit },
      h("label", { for: "frame-edit" }, "This goes to the server exactly as it is, valid or not:"),
      this.#parts.area,
      h(
        "div",
        { class: "toolbar" },
        h("button", { type: "submit", class: "button primary" }, "Send to the server"),
        button("Cancel", () => this.#endEdit()),
      ),
    );
  }

  #describe(row) {
    const { title, facts, meaning: says, dropped, copy, again, whyNot, status } = this.#parts;
    const isPlatform = row.sender === "platform";
    title.textContent = `Frame ${row.n}`;
    fill(
      facts,
      h("span", { class: isPlatform ? "from-platform" : "from-server" }, isPlatform ? "platform → server" : "server → platform"),
      ` · ${row.kind}${row.id === null ? "" : ` · id ${row.id}`} · ${seconds(row.at_s)} s · ${size(row.size)} ${row.kind === "binary" ? "bytes" : "characters"}`,
    );
    says.textContent = meaning(row);
    fill(dropped, row.dropped ? h("span", { class: "badge bad" }, `dropped: ${row.dropped}`) : null);
    dropped.hidden = !row.dropped;
    copy.textContent = row.kind === "binary" ? "Copy" : "Copy as JSON";
    again.hidden = whyNot.hidden = !isPlatform;
    status.textContent = "";
    this.#allowSending();
  }

  #allowSending() {
    if (!this.#row) return;
    const isOpen = store.live?.status.is_open ?? false;
    this.#parts.again.disabled = !isOpen || this.#text === null;
    this.#parts.whyNot.textContent = isOpen ? "" : "To send it again there must be a call: make one first.";
  }

  #take({ call_id: callId, n, text }) {
    if (callId !== this.#callId || n !== this.#row?.n) return;
    this.#text = text;
    this.#showText(laidOut(text));
    this.#allowSending();
  }

  /** Say what went wrong where the frame would be, if it has not come yet. */
  #fail(why) {
    if (this.isOpen && this.#text === null) this.#showText(`The frame cannot be shown: ${why}`);
  }

  #showText(text) {
    const { pre, all } = this.#parts;
    const isCut = text.length > SHOWN_AT_ONCE;
    pre.textContent = isCut ? `${text.slice(0, SHOWN_AT_ONCE)} …` : text;
    pre.scrollTop = 0;
    all.hidden = !isCut;
    all.textContent = `Show all of its ${size(text.length)} characters`;
  }

  #showAll() {
    this.#parts.pre.textContent = laidOut(this.#text);
    this.#parts.all.hidden = true;
    this.#parts.pre.focus();
  }

  async #copy() {
    if (this.#text === null) return;
    try {
      await navigator.clipboard.writeText(this.#text);
      this.#parts.status.textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(this.#parts.pre);
      this.#parts.status.textContent = "The browser does not let this page copy: the text is selected, press Ctrl+C.";
    }
  }

  #beginEdit() {
    this.#parts.area.value = this.#text;
    this.#parts.edit.hidden = false;
    this.#parts.area.focus();
  }

  #endEdit() {
    this.#parts.edit.hidden = true;
    this.#parts.again.focus();
  }

  #send() {
    const { area, status } = this.#parts;
    if (area.value.length > MOST_SENT) {
      status.textContent = `Not sent: ${area.value.length} characters, and at most ${MOST_SENT} can be.`;
    } else if (connection.send({ type: "send", text: area.value })) {
      status.textContent = "Sent: the list has it as a frame of the platform.";
      this.#endEdit();
    } else {
      status.textContent = "Not sent: the dashboard does not answer.";
    }
  }

  #step(by) {
    this.dispatchEvent(new CustomEvent("frame-step", { detail: by }));
  }

  /** The keys of the page rest while a dialog is open: j and k are its own. */
  #press(event) {
    const isTyping = event.target === this.#parts.area;
    if (event.key === "Escape" && isTyping) {
      event.preventDefault(); // what was typed stays; the next Escape closes
      event.stopPropagation();
      this.#parts.pre.focus();
    }
    if (isTyping || !areKeysOn() || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in STEPS) this.#step(STEPS[event.key]);
  }
}

customElements.define("llmws-frame-dialog", FrameDialog);
