// Faults: what goes wrong on the platform's side of the socket, to see what the server makes of it.

import { connection, store } from "../app.js";
import { button, fill, h, seconds, setText } from "../dom.js";

const REQUESTS = ["response_required", "reminder_required"];
const MANY = 900_000;
const LINES = 6;
const FRAMES = [
  {
    name: "not JSON",
    text: "{not json",
    good:
      "No platform sends this. The guide's server closes with 1002, which ends the call; one that drops the frame, with " +
      "a line in its log, keeps its caller.",
  },
  {
    name: "an unknown interaction_type",
    text: '{"interaction_type": "weather_report", "transcript": []}',
    good: "A good server ignores what it does not know: the platform adds new types without asking.",
  },
  {
    name: "an empty object",
    text: "{}",
    good: "A good server looks a field up before it trusts that it is there, and drops the frame.",
  },
  {
    name: "900 kB of text",
    make: () => "x".repeat(MANY),
    text: "900,000 times the letter x; it is made when you send it.",
    good: "A good server reads it without going down, drops it, and neither logs it whole nor keeps it.",
  },
  {
    name: "your own",
    text: "",
    good: "Whatever it is: a good server keeps the call, and its other calls never notice.",
  },
];
const GOOD = {
  drop_line:
    "The platform dials again, with the same call id: a good server takes the new socket, lets go of the old one, and " +
    "needs nothing of it, because the next request has the whole transcript.",
  slow:
    "For so long the platform neither reads nor sends: a good server's sends wait, nothing piles up, and its other " +
    "calls go on.",
  resend:
    "The last request comes a second time, the very same frame: a good server answers under that id again, or not at " +
    "all, but does not book the table twice.",
};

class Faults extends HTMLElement {
  #gone = null;
  #parts = {};
  #isOpen = null; // whether there is a call, as shown
  #caused = null; // the fault that was caused last: {name, n, line, isIt}

  connectedCallback() {
    this.#gone = new AbortController();
    const { signal } = this.#gone;
    this.#build();
    for (const type of ["status", "shown", "connected", "disconnected"]) store.on(type, () => this.#enable(), signal);
    store.on("frame", (frame) => this.#take(frame), signal);
    store.on("line", () => this.#showCaused(), signal);
    store.on("shown", () => this.#forget(), signal);
  }

  disconnectedCallback() {
    this.#gone.abort();
  }

  #build() {
    const parts = this.#parts;
    parts.seconds = h("input", {
      class: "field",
      id: "slow-seconds",
      type: "number",
      min: "0.5",
      max: "60",
      step: "0.5",
      value: "3",
    });
    parts.frame = h(
      "select",
      { class: "field", id: "garbled-kind", onchange: () => this.#chooseFrame() },
      FRAMES.map(({ name }) => h("option", {}, name)),
    );
    parts.text = h("textarea", {
      class: "field mono",
      id: "garbled-text",
      rows: "3",
      spellcheck: "false",
      autocomplete: "off",
    });
    parts.good = h("p", { class: "muted" });
    parts.empty = h("p", { class: "notice", role: "status" });
    parts.done = h("p", { role: "status" });
    parts.see = button("See it on the wire", () => showWire(this.#caused.n));
    parts.noticed = h("ul", { class: "noticed mono", role: "list" });
    parts.caused = h("div", { class: "caused" }, parts.done, parts.see, parts.noticed);
    parts.deeds = h(
      "div",
      { class: "faults" },
      fault(
        "Drop the line",
        GOOD.drop_line,
        button("Drop the line", () => this.#goWrong("drop_line", "the line dropped")),
      ),
      fault(
        "Be slow",
        GOOD.slow,
        h("label", { for: "slow-seconds" }, "Seconds"),
        parts.seconds,
        button("Be slow", () => this.#beSlow()),
      ),
      fault(
        "Resend the last request",
        GOOD.resend,
        button("Resend", () => this.#goWrong("resend", "the last request again")),
      ),
      h(
        "section",
        { class: "fault" },
        h("h3", {}, "Send a garbled frame"),
        h(
          "div",
          { class: "toolbar" },
          h("label", { for: "garbled-kind" }, "Frame"),
          parts.frame,
          button("Send it", () => this.#send()),
        ),
        h("label", { for: "garbled-text", class: "visually-hidden" }, "The frame, exactly as it is sent"),
        parts.text,
        parts.good,
      ),
    );
    this.replaceChildren(
      h("h2", {}, "Faults"),
      h("p", { class: "muted" }, "Lines break and networks crawl. Let it happen here first, in a call that is yours."),
      parts.empty,
      parts.caused,
      parts.deeds,
    );
    this.#chooseFrame();
    this.#enable();
    this.#showCaused();
  }

  #chooseFrame() {
    const { text, good, frame } = this.#parts;
    const chosen = FRAMES[frame.selectedIndex];
    text.value = chosen.text;
    text.readOnly = chosen.make !== undefined;
    good.textContent = chosen.good;
  }

  #enable() {
    const isOpen = store.isConnected && store.isCalling && store.live.status.is_open;
    if (isOpen === this.#isOpen) return;
    this.#isOpen = isOpen;
    for (const one of this.#parts.deeds.querySelectorAll("button")) one.disabled = !isOpen;
    this.#parts.empty.hidden = isOpen;
    this.#parts.empty.textContent = isOpen
      ? ""
      : "There is no call: make a web call first, then let something go wrong in it.";
  }

  #goWrong(kind, name, more = {}) {
    if (connection.send({ type: "go_wrong", kind, ...more }))
      this.#cause(name, kind === "resend" ? isResent : () => false);
  }

  #beSlow() {
    const { seconds: field } = this.#parts;
    if (!field.reportValidity()) return;
    this.#goWrong("slow", `slow for ${field.value} s`, { seconds: Number(field.value) });
  }

  #send() {
    const { frame, text } = this.#parts;
    const chosen = FRAMES[frame.selectedIndex];
    const sent = chosen.make?.() ?? text.value;
    if (connection.send({ type: "send", text: sent })) this.#cause(chosen.name, ({ size }) => size === sent.length);
  }

  /** Remember what was caused, and how to know the frame that it sends, if it sends one. */
  #cause(name, isIt) {
    const { frames, log } = store.live;
    this.#caused = { name, n: frames.length - 1, line: log.length, isIt };
    setText(this.#parts.done, ""); // the same again is told again
    this.#showCaused();
  }

  /** A frame came or went: perhaps it is the one that a fault has sent. */
  #take(frame) {
    if (!this.#caused?.isIt?.(frame) || frame.sender !== "platform") return;
    this.#caused = { ...this.#caused, n: frame.n, isIt: null };
    this.#showCaused();
  }

  #forget() {
    if (this.#caused === null || store.live?.log.length >= this.#caused.line) return;
    this.#caused = null; // it was in another call
    this.#showCaused();
  }

  #showCaused() {
    const { caused, done, see, noticed } = this.#parts;
    see.hidden = noticed.hidden = this.#caused === null;
    if (this.#caused === null) {
      setText(done, "");
      fill(noticed);
      return;
    }
    const { name, n, line, isIt } = this.#caused;
    setText(done, `Done: ${name}${isIt === null ? `, frame ${n}` : ""}.`);
    const lines = (store.live?.log ?? []).slice(line, line + LINES);
    if (lines.length !== noticed.childElementCount) fill(noticed, lines.map((one) => h("li", {}, `${seconds(one.at_s)} ${one.text}`)));
  }
}

/** Whether a frame is a request, and the very one that was the last before. */
function isResent({ kind, id, size }) {
  const requests = store.live.frames.filter((frame) => frame.sender === "platform" && REQUESTS.includes(frame.kind));
  const before = requests.at(-2);
  return REQUESTS.includes(kind) && before?.id === id && before.size === size;
}

function fault(title, good, ...controls) {
  return h(
    "section",
    { class: "fault" },
    h("h3", {}, title),
    h("div", { class: "toolbar" }, controls),
    h("p", { class: "muted" }, good),
  );
}

function showWire(n) {
  if (!store.isLive) store.showLive();
  document.dispatchEvent(new CustomEvent("llmws-show", { detail: { panel: "wire", frame: Math.max(n, 0) } }));
}

customElements.define("llmws-faults", Faults);
