// The server's own log, where it runs beside the dashboard: each line at its moment of the call.

import { store } from "../app.js";
import { copyButton } from "../copy.js";
import { button, h, seconds } from "../dom.js";
import { beforeNextPicture } from "../redraw.js";

const MOST = 1000; // lines that are shown at once: the latest
const LEVELS = { ERROR: "bad", CRITICAL: "bad", WARNING: "warn" };
const ELSEWHERE =
  "The server does not run beside this page: its log is in the terminal that runs it. In a notebook, show(server) " +
  "puts this page under the cell with the server's log in it.";
const NOTHING =
  "Nothing was logged so far: make a web call, and each connection has its line here, errors with their traceback.";

class ServerLog extends HTMLElement {
  #gone = null;
  #parts = {};
  #shown = 0; // how many of the lines were looked at
  #isAtEnd = true; // the end is in view, or was when the panel was
  #showSoon = beforeNextPicture(() => this.#show());

  connectedCallback() {
    this.#gone = new AbortController();
    const { signal } = this.#gone;
    this.#build();
    store.on("connected", () => this.#restart(), signal);
    store.on("server_line", this.#showSoon, signal);
    this.#restart();
  }

  disconnectedCallback() {
    this.#gone.abort();
  }

  #build() {
    const parts = this.#parts;
    parts.filter = h("input", {
      class: "field",
      type: "search",
      "aria-label": "Filter the log",
      placeholder: "Filter the log",
      spellcheck: "false",
      autocomplete: "off",
      oninput: () => this.#restart(),
    });
    parts.errors = button("Errors only", () => this.#toggleErrors(), { "aria-pressed": "false" });
    parts.count = h("span", { class: "muted" });
    parts.empty = h("p", { class: "empty" });
    parts.list = h("ol", { class: "log mono", role: "list" });
    parts.scroll = h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Log of the server", onscroll: () => this.#scrolled() },
      parts.list,
    );
    parts.bar = h(
      "div",
      { class: "toolbar" },
      parts.filter,
      parts.errors,
      copyButton("Copy the log", () => this.#text()),
      parts.count,
    );
    this.replaceChildren(h("h2", {}, "Server"), parts.bar, parts.empty, parts.scroll);
    new ResizeObserver(() => this.#toEnd()).observe(parts.scroll); // also when its tab is shown
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#parts.scroll;
    if (clientHeight > 0) this.#isAtEnd = scrollHeight - scrollTop - clientHeight < 30;
  }

  #toEnd() {
    if (this.#isAtEnd) this.#parts.scroll.scrollTop = this.#parts.scroll.scrollHeight;
  }

  #toggleErrors() {
    const { errors } = this.#parts;
    errors.setAttribute("aria-pressed", errors.getAttribute("aria-pressed") !== "true");
    this.#restart();
  }

  #passes({ text }) {
    const { filter, errors } = this.#parts;
    if (errors.getAttribute("aria-pressed") === "true" && LEVELS[levelOf(text)] !== "bad") return false;
    return text.toLowerCase().includes(filter.value.trim().toLowerCase());
  }

  #text() {
    return store.serverLines
      .filter((line) => this.#passes(line))
      .map(({ text }) => text)
      .join("\n");
  }

  #restart() {
    this.#shown = 0;
    this.#parts.list.replaceChildren();
    this.#show();
  }

  /** Show the lines that are new, and keep to the end where the end was in view. */
  #show() {
    const { bar, empty, list, scroll, count } = this.#parts;
    const lines = store.serverLines;
    const fresh = lines.slice(this.#shown).filter((line) => this.#passes(line));
    list.append(...fresh.slice(-MOST).map(item));
    while (list.children.length > MOST) list.firstElementChild.remove();
    this.#shown = lines.length;
    bar.hidden = lines.length === 0;
    scroll.hidden = list.children.length === 0;
    empty.hidden = !scroll.hidden;
    empty.textContent = emptyText(lines.length);
    const older = list.children.length === MOST ? `, the latest ${MOST} are shown` : "";
    count.textContent = `${lines.length} ${lines.length === 1 ? "line" : "lines"}${older}`;
    this.#toEnd();
  }
}

function emptyText(number) {
  if (number > 0) return "No line passes the filter.";
  return store.hello === null || store.hello.runs_here ? NOTHING : ELSEWHERE;
}

/** One record of the log: its first line, and a traceback below it that unfolds. */
function item(line) {
  const [first, ...rest] = line.text.split("\n");
  const level = levelOf(first);
  const head = [
    moment(line),
    LEVELS[level] ? h("span", { class: `badge ${LEVELS[level]}` }, level.toLowerCase()) : null,
    h("span", { class: "log-text", dir: "auto" }, LEVELS[level] ? first.slice(level.length + 2) : first),
  ].filter((part) => part !== null);
  if (rest.length === 0) return h("li", {}, h("div", { class: "log-line" }, head));
  return h(
    "li",
    {},
    h(
      "details",
      {},
      h("summary", { class: "log-line" }, head.slice(1), h("span", { class: "log-error", dir: "auto" }, lastOf(rest))),
      h(
        "pre",
        { class: "traceback scroll", tabindex: "0", role: "region", "aria-label": "Traceback" },
        rest.join("\n"),
      ),
      h(
        "div",
        { class: "toolbar" },
        head[0],
        copyButton("Copy the traceback", () => line.text),
      ),
    ),
  );
}

/** When in the call a line came; a way to the frame that was the latest then. */
function moment(line) {
  if (line.at_s === null) return h("span", { class: "log-time muted" }, "no call");
  return button(`${seconds(line.at_s)} s`, () => show(line), {
    class: "button quiet log-time",
    "aria-label": `At ${seconds(line.at_s)} s of the call: show the frame`,
  });
}

function show({ call_id: callId, at_s: atS }) {
  const call = [store.live, store.opened].find((one) => one?.call_id === callId);
  if (call === undefined) {
    document.dispatchEvent(new CustomEvent("llmws-show", { detail: { panel: "history" } }));
    return;
  }
  if (call === store.live && !store.isLive) store.showLive();
  document.dispatchEvent(
    new CustomEvent("llmws-show", { detail: { panel: "wire", frame: nearest(call.frames, atS) } }),
  );
}

/** The number of the frame that is nearest to a moment. */
function nearest(frames, atS) {
  let found = 0;
  for (const [n, frame] of frames.entries()) {
    if (Math.abs(frame.at_s - atS) <= Math.abs(frames[found].at_s - atS)) found = n;
  }
  return found;
}

function levelOf(text) {
  return text.slice(0, Math.max(0, text.indexOf(":")));
}

/** The line of a traceback that says what happened: the last one with words. */
function lastOf(lines) {
  return lines.findLast((line) => line.trim() !== "") ?? "";
}

customElements.define("llmws-server", ServerLog);
