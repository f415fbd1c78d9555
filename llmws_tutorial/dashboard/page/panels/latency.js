// How long things took: per turn, and over the call in the parts that the platform reports.

import { store } from "../app.js";
import { button, fill, h, ms, seconds } from "../dom.js";
import { beforeNextPicture } from "../redraw.js";

const PARTS = {
  e2e: "From the caller's last word to the agent's first sound: what a caller feels.",
  llm: "From the request to the first sentence that can be spoken, the way to your server and back included.",
  llm_websocket_network_rtt: "From a heartbeat to its echo; measured once your config asks for auto_reconnect.",
  tts: "From the first sentence to its first sound: the voice.",
};
const SUMMARY = ["Part", "p50", "p95", "num"];
const COLUMNS = ["Turn", "Request at", "First chunk", "First sentence", "Complete", "tts", "e2e", "Bar"];
const LATEST = 100; // turns; a table of a thousand takes longer than a picture to lay out
const SPANS = { "until the first chunk": "wait", "until the first sentence": "sentence", "until complete": "rest" };

class Latency extends HTMLElement {
  #gone = null;
  #parts = {};
  #rows = new Map(); // a turn's element, by its place in the conversation
  #items = new Map(); // and what it shows
  #callId = null;
  #scale = 0; // how many milliseconds a bar is long
  #isAll = false; // whether the early turns of a long call are there as well
  #drawSoon = beforeNextPicture(() => this.#draw());

  connectedCallback() {
    this.#gone = new AbortController();
    this.#build();
    for (const type of ["item", "status", "shown"]) store.on(type, this.#drawSoon, this.#gone.signal);
    this.#draw();
  }

  disconnectedCallback() {
    this.#gone.abort();
  }

  #build() {
    const parts = this.#parts;
    parts.empty = h("p", { class: "empty" }, "No turns yet. Make a web call and say something: each answer is timed here.");
    parts.summary = h("tbody");
    parts.turns = h("tbody");
    parts.all = button("", () => this.#showAll(), { hidden: true });
    const heads = COLUMNS.map((name, n) => h("th", { scope: "col", class: n > 0 && n < 7 ? "number" : null }, name));
    parts.axis = heads.at(-1);
    parts.body = h(
      "div",
      { class: "latency-body scroll", tabindex: "0", role: "region", "aria-label": "Latency of the call" },
      h(
        "table",
        { class: "table latency-summary" },
        h("caption", { class: "visually-hidden" }, "The call as a whole"),
        h("thead", {}, h("tr", {}, SUMMARY.map((name, n) => h("th", { scope: "col", class: n > 0 ? "number" : null }, name)))),
        parts.summary,
      ),
      h("h3", {}, "Turn by turn"),
      h("p", { class: "latency-legend muted" }, Object.entries(SPANS).map(([says, name]) => h("span", { class: `key ${name}` }, says))),
      parts.all,
      h(
        "table",
        { class: "table latency-turns" },
        h("caption", { class: "visually-hidden" }, "The turns of the agent"),
        h("thead", {}, h("tr", {}, heads)),
        parts.turns,
      ),
    );
    fill(this, h("h2", {}, "Latency"), parts.empty, parts.body);
  }

  #draw() {
    const call = store.shown;
    const turns = (call?.items ?? []).filter(({ role }) => role === "agent");
    this.#parts.empty.hidden = turns.length > 0;
    this.#parts.body.hidden = turns.length === 0;
    if (call?.call_id !== this.#callId) this.#clear(call?.call_id);
    if (turns.length === 0) return;
    this.#drawSummary(call.status.latency ?? {});
    const drawn = this.#isAll ? turns : turns.slice(-LATEST);
    this.#dropBefore(drawn[0].place);
    for (const turn of drawn) this.#drawTurn(turn);
    this.#parts.all.hidden = drawn.length === turns.length;
    this.#parts.all.textContent = `Show all ${turns.length.toLocaleString("en")} turns`;
    this.#setScale(Math.max(...turns.map(({ complete_ms: all, first_sentence_ms: first }) => all ?? first ?? 0)));
  }

  /** Let the bars end at a round number: a scale that changed with every turn would redraw them all. */
  #setScale(longest) {
    const power = 10 ** Math.ceil(Math.log10(Math.max(longest, 10)) - 1);
    const end = [1, 2, 5, 10].map((factor) => factor * power).find((value) => value >= longest);
    if (end === this.#scale) return;
    this.#scale = end;
    this.#parts.turns.style.setProperty("--scale", end);
    this.#parts.axis.textContent = `0 to ${ms(end)}`;
  }

  #clear(callId) {
    this.#callId = callId;
    this.#isAll = false;
    this.#dropBefore(Infinity);
  }

  #dropBefore(place) {
    for (const [other, row] of this.#rows) {
      if (other >= place) return; // they are in order
      row.remove();
      this.#rows.delete(other);
      this.#items.delete(other);
    }
  }

  #showAll() {
    this.#isAll = true;
    this.#dropBefore(Infinity); // the earlier ones belong before them
    this.#draw();
    this.#parts.body.focus();
  }

  #drawSummary(latency) {
    const rows = Object.entries(PARTS).flatMap(([name, meaning]) => {
      const part = latency[name];
      const numbers = [ms(part?.p50), ms(part?.p95), `${part?.num ?? 0}`];
      return [
        h("tr", {}, h("th", { scope: "row", class: "mono" }, name), numbers.map((text) => h("td", { class: "number" }, text))),
        h("tr", {}, h("td", { class: "muted", colspan: "4" }, meaning)),
      ];
    });
    fill(this.#parts.summary, rows);
  }

  #drawTurn(turn) {
    if (this.#items.get(turn.place) === turn) return; // the store puts a new object where one changed
    this.#items.set(turn.place, turn);
    const cells = [
      ms(turn.first_chunk_ms),
      ms(turn.first_sentence_ms),
      ms(turn.complete_ms),
      ms(turn.tts_ms),
      ms(turn.e2e_ms),
    ].map((text) => h("td", { class: "number" }, text));
    let row = this.#rows.get(turn.place);
    if (!row) {
      row = h("tr", {}, h("th", { scope: "row" }, this.#link(turn)));
      this.#rows.set(turn.place, row);
      this.#parts.turns.append(row);
    }
    while (row.childElementCount > 1) row.lastChild.remove(); // the link stays, perhaps with the focus
    row.append(h("td", { class: "number" }, `${seconds(turn.asked_at_s)} s`), ...cells, h("td", {}, bar(turn)));
  }

  /** The name of a turn, which shows its first frame in the wire. */
  #link({ kind, id }) {
    const name = `${kind}${id === null ? "" : ` ${id}`}`;
    const show = () => {
      const frames = store.shown.frames.filter((frame) => frame.id === id && (frame.kind === "agent_interrupt") === (kind === "interrupt"));
      const frame = frames[0]?.n;
      document.dispatchEvent(new CustomEvent("llmws-show", { detail: { panel: "wire", frame } }));
    };
    return button(name, show, { class: "button quiet latency-link", title: "Show its first frame" });
  }
}

/** The time from the request on as a bar; its numbers are in the cells before it. */
function bar({ first_chunk_ms: chunk, first_sentence_ms: sentence, complete_ms: complete }) {
  const ends = [chunk, sentence ?? complete ?? chunk, complete ?? sentence ?? chunk];
  const names = Object.values(SPANS);
  let from = 0;
  const spans = ends.map((end, n) => {
    const span = h("span", { class: names[n] });
    span.style.setProperty("--ms", Math.max(0, (end ?? from) - from));
    from = end ?? from;
    return span;
  });
  return h("div", { class: "latency-bar", "aria-hidden": "true" }, spans);
}

customElements.define("llmws-latency", Latency);
