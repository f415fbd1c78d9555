// The lesson: what there is to try, ticked off as it happens, and what to read next.

import { store } from "../app.js";
import { button, fill, h, setText } from "../dom.js";
import { beforeNextPicture } from "../redraw.js";

const KEY = "llmws tried";
const EVENTS = ["connected", "shown", "status", "item", "check"];

/** When something has been tried, by its id: of the caller's own call, not of a scenario. */
const HAPPENED = {
  call: ({ status }) => status.is_open || status.connections > 0,
  say: ({ items }) => items.some((item) => item?.role === "user"),
  interrupt: ({ items }) => items.some((item) => item?.is_cut),
  silence: ({ items }) => items.some((item) => item?.kind === "reminder"),
  drop: ({ status }) => status.connections > 1,
};

/** Where each is done: a panel, or a part of the page; null: the call bar, which is always there. */
const WHERE = { frame: "wire", drop: "faults", check: "conformance" };

class Lesson extends HTMLElement {
  #gone = null;
  #parts = {};
  #done = new Set(recallTried());
  #before = {}; // the call and the run of checks that count no more, as it was begun again after them
  #lookSoon = beforeNextPicture(() => this.#look());

  connectedCallback() {
    this.#gone = new AbortController();
    const { signal } = this.#gone;
    const parts = this.#parts;
    parts.count = h("p", { class: "muted", role: "status" });
    parts.tries = h("ol", { class: "tries", role: "list" });
    parts.reading = h("ul", { class: "reading", role: "list" });
    parts.again = button("Begin again", () => this.#forget(), { class: "button quiet" });
    this.replaceChildren(
      h("h2", {}, "Lesson"),
      h(
        "p",
        { class: "muted" },
        "Seven things to try in a call of your own; each ticks itself off once it has happened.",
      ),
      h("div", { class: "toolbar" }, parts.count, parts.again),
      parts.tries,
      h("h3", {}, "What to read next"),
      h(
        "p",
        { class: "muted" },
        "Each notebook builds one piece of what you have just heard. Open them in JupyterLab, with: llmws lab",
      ),
      parts.reading,
    );
    for (const type of EVENTS) store.on(type, this.#lookSoon, signal);
    store.on("whole", () => this.#tick("frame"), signal);
    store.on("connected", () => this.#show(), signal);
  }

  disconnectedCallback() {
    this.#gone.abort();
  }

  /** See what has happened by now. */
  #look() {
    const call = store.live;
    if (call !== null && call.title === "" && call.call_id !== this.#before.call) {
      for (const [id, hasHappened] of Object.entries(HAPPENED)) {
        if (!this.#done.has(id) && hasHappened(call)) this.#tick(id);
      }
    }
    const check = store.check;
    if (check?.is_over && check !== this.#before.check && !check.absence) this.#tick("check");
  }

  #tick(id) {
    if (this.#done.has(id)) return;
    this.#done.add(id);
    rememberTried([...this.#done]);
    this.#show();
  }

  #forget() {
    this.#done.clear();
    this.#before = { call: store.live?.call_id, check: store.check };
    rememberTried([]);
    this.#show();
  }

  #show() {
    const tries = store.hello?.tries ?? [];
    const { count, tries: list, reading, again } = this.#parts;
    const done = tries.filter(({ id }) => this.#done.has(id)).length;
    const isAll = done > 0 && done === tries.length;
    setText(count, isAll ? "All of it done: now build it yourself." : `${done} of ${tries.length} done`);
    again.hidden = done === 0;
    fill(
      list,
      tries.map((one) => tryItem(one, this.#done.has(one.id))),
    );
    fill(
      reading,
      (store.hello?.reading ?? []).map(({ name, text }) =>
        h("li", {}, h("code", {}, name), h("span", { class: "muted" }, ` ${text}`)),
      ),
    );
  }
}

function tryItem({ id, text, why }, isDone) {
  const show = () => document.dispatchEvent(new CustomEvent("llmws-show", { detail: { panel: WHERE[id] } }));
  return h(
    "li",
    { class: isDone ? "try is-done" : "try" },
    h("span", { class: `badge ${isDone ? "good" : ""}` }, isDone ? "✓ done" : "to try"),
    h("div", {}, h("p", {}, text), h("p", { class: "muted" }, why)),
    WHERE[id] && !isDone ? button(`Go to ${WHERE[id]}`, show, { class: "button quiet" }) : null,
  );
}

function recallTried() {
  try {
    const tried = JSON.parse(sessionStorage.getItem(KEY));
    return Array.isArray(tried) ? tried : [];
  } catch {
    return []; // storage is off, or somebody else wrote there
  }
}

function rememberTried(tried) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(tried));
  } catch {
    // storage is off: it holds until the page is left
  }
}

customElements.define("llmws-lesson", Lesson);
