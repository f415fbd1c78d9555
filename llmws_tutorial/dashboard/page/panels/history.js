// The calls on disk, the latest first: to open, save, delete, and to compare two of them.

import { connection, store } from "../app.js";
import { button, fill, h, ms, setText } from "../dom.js";
import { saveRecording } from "../export.js";
import { comparison } from "./comparison.js";

const LATEST = 100; // calls; thousands take a moment to draw

class History extends HTMLElement {
  #gone = null;
  #parts = {};
  #picked = new Set(); // ids of the calls to compare
  #isAll = false; // whether the old calls are listed as well
  #doomed = null; // the call that the dialog asks about

  connectedCallback() {
    this.#gone = new AbortController();
    this.#build();
    for (const type of ["history", "shown", "connected"]) store.on(type, () => this.#draw(), this.#gone.signal);
    store.on("compared", (event) => this.#showCompared(event), this.#gone.signal);
    this.#draw();
  }

  disconnectedCallback() {
    this.#gone.abort();
  }

  #build() {
    const parts = this.#parts;
    parts.folder = h("p", { class: "muted history-folder" });
    parts.compare = button("Compare", () => this.#compare());
    parts.hint = h("span", { class: "muted", role: "status" });
    parts.all = button("", () => this.#showAll(), { class: "button history-all" });
    parts.list = h("ol", { class: "history-list" });
    parts.scroll = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Calls on disk" }, parts.list, parts.all);
    parts.empty = h("p", { class: "empty" }, "No calls yet. Each call that you make is kept here, to be looked at again.");
    parts.heading = h("h2", { tabindex: "-1" }, "History");
    parts.calls = h(
      "div",
      { class: "history-calls" },
      parts.folder,
      h("div", { class: "toolbar" }, parts.compare, parts.hint),
      parts.scroll,
      parts.empty,
    );
    parts.compared = h("div", { class: "history-compared", hidden: true });
    parts.dialog = this.#buildDialog();
    fill(this, parts.heading, parts.calls, parts.compared, parts.dialog);
  }

  #buildDialog() {
    this.#parts.question = h("p", { dir: "auto" });
    return h(
      "dialog",
      { class: "history-dialog", "aria-labelledby": "history-delete" },
      h("h2", { id: "history-delete" }, "Delete this call?"),
      this.#parts.question,
      h("p", { class: "muted" }, "Its recording leaves the disk, for good."),
      h(
        "div",
        { class: "toolbar" },
        button("Keep it", () => this.#parts.dialog.close(), { autofocus: true }),
        button("Delete", () => this.#forget(), { class: "button danger primary" }),
      ),
    );
  }

  #draw() {
    const { folder, list, scroll, all, empty } = this.#parts;
    const focused = { id: document.activeElement?.closest?.("li")?.dataset.call, name: document.activeElement?.name };
    const calls = store.history;
    const ids = new Set(calls.map(({ call_id: id }) => id));
    for (const id of this.#picked) if (!ids.has(id)) this.#picked.delete(id);
    folder.textContent = store.hello ? `Calls are kept in ${store.hello.folder}` : "";
    const drawn = this.#isAll ? calls : calls.slice(0, LATEST);
    fill(list, drawn.map((call) => this.#item(call)));
    all.hidden = drawn.length === calls.length;
    all.textContent = `Show all ${calls.length.toLocaleString("en")} calls`;
    scroll.hidden = calls.length === 0;
    empty.hidden = calls.length > 0;
    if (focused.id) this.#refocus(focused);
    this.#showPicked();
  }

  #showAll() {
    this.#isAll = true;
    this.#draw();
    this.#parts.scroll.focus();
  }

  /** The list was made anew: give the focus back, or to the heading if its call is gone. */
  #refocus({ id, name }) {
    const item = [...this.#parts.list.children].find(({ dataset }) => dataset.call === id);
    (item?.querySelector(`[name="${name}"]`) ?? this.#parts.heading).focus({ preventScroll: true });
  }

  #item(call) {
    const { call_id: id } = call;
    const isLive = store.isCalling && store.live.call_id === id;
    const words = call.first_words || (isLive ? "The call that goes on" : "Nobody said a word");
    const label = `${words}, ${when(call)}`;
    const act = (name, does, more = {}) => button(name, does, { name, "aria-label": `${name}: ${label}`, ...more });
    const pick = h("input", { type: "checkbox", name: "pick", "aria-label": `Compare: ${label}`, disabled: isLive });
    pick.checked = this.#picked.has(id);
    pick.addEventListener("change", () => this.#pick(id, pick.checked));
    return h(
      "li",
      { class: "history-call", "data-call": id },
      pick,
      h(
        "div",
        {},
        h("p", { class: call.first_words ? "history-words" : "history-words muted", dir: "auto" }, words),
        h("p", { class: "history-facts muted" }, facts(call, isLive), store.shown?.call_id === id ? h("span", { class: "badge good history-shown" }, "shown now") : null),
      ),
      h(
        "div",
        { class: "history-deeds" },
        act("Open", () => connection.send({ type: "open_call", call_id: id }), { disabled: isLive }),
        act("Export", () => this.#save(id)),
        act("Delete", () => this.#ask(call, label), { disabled: isLive, class: "button quiet danger" }),
      ),
    );
  }

  #pick(id, isPicked) {
    if (isPicked) this.#picked.add(id);
    else this.#picked.delete(id);
    this.#showPicked();
  }

  #showPicked() {
    const { compare, hint } = this.#parts;
    const missing = 2 - this.#picked.size;
    compare.disabled = missing !== 0;
    setText(hint, missing > 0 ? `Pick ${missing === 2 ? "two calls" : "one more"} to compare.` : missing < 0 ? "Pick two only." : "");
  }

  #compare() {
    const calls = store.history.filter(({ call_id: id }) => this.#picked.has(id));
    const [second, first] = calls; // the latest comes first
    connection.send({ type: "compare", first: first.call_id, second: second.call_id });
  }

  #showCompared(event) {
    const titles = [event.first, event.second].map((id) => {
      const call = store.history.find(({ call_id: other }) => other === id);
      return call ? `${call.first_words || "Nobody said a word"} (${when(call)})` : id;
    });
    const { calls, compared } = this.#parts;
    const title = h("h3", { tabindex: "-1" }, "Two calls compared");
    const back = button("Back to the calls", () => {
      compared.hidden = true;
      calls.hidden = false;
      this.#parts.compare.focus();
    });
    fill(compared, h("div", { class: "toolbar" }, title, back), comparison(event, titles));
    compared.hidden = false;
    calls.hidden = true;
    title.focus();
  }

  #ask(call, label) {
    this.#doomed = call.call_id;
    this.#parts.question.textContent = label;
    this.#parts.dialog.showModal();
  }

  #forget() {
    const id = this.#doomed;
    this.#parts.dialog.close();
    connection.send({ type: "forget_call", call_id: id });
    if (store.opened?.call_id === id) store.showLive();
  }

  async #save(id) {
    const wrong = await saveRecording(id);
    if (wrong) store.apply({ type: "trouble", text: wrong });
  }
}

function when({ started_ms: started }) {
  return new Date(started).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

/** What is known of a call, in short pieces; one whose process was killed lacks most. */
function facts(call, isLive) {
  const count = (number, what) => (number === undefined ? null : `${number} ${what}${number === 1 ? "" : "s"}`);
  const told = [
    h("time", { datetime: new Date(call.started_ms).toISOString() }, when(call)),
    call.duration_s === undefined ? null : `${call.duration_s.toFixed(1)} s`,
    call.title ? `scenario: ${call.title}` : null,
    count(call.turns, "turn"),
    count(call.frames, "frame"),
    call.dropped ? h("span", { class: "badge bad" }, `${call.dropped} dropped`) : null,
    call.llm_p50_ms == null ? null : h("span", { class: "history-number" }, `llm p50 ${ms(call.llm_p50_ms)}`),
    h("span", { class: "mono" }, call.ended ?? (isLive ? "goes on" : "has no end")),
  ];
  return told.filter((part) => part !== null).flatMap((part, n) => (n ? [" · ", part] : [part]));
}

customElements.define("llmws-history", History);
