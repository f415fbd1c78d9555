// Every frame of the call, both ways: filtered, paused, opened, saved.

import { store } from "../app.js";
import { button, fill, h, seconds, setText, size } from "../dom.js";
import { saveRecording } from "../export.js";
import { beforeNextPicture } from "../redraw.js";
import { VirtualList } from "../virtual-list.js";
import "./frame-dialog.js";

const REQUESTS = new Set(["response_required", "reminder_required"]);
const BACKGROUND = new Set(["update_only", "ping_pong"]);
const CHIPS = {
  "Requests only": ({ kind }) => REQUESTS.has(kind),
  "Dropped only": ({ dropped }) => dropped !== null,
  "Hide update_only": ({ kind }) => kind !== "update_only",
  "Hide ping_pong": ({ kind }) => kind !== "ping_pong",
};
const COLUMNS = ["Time", "From", "Kind", "Id", "What it says", "Size"];
const KEYS = { "next-frame": 1, "previous-frame": -1 };

class Wire extends HTMLElement {
  #gone = null;
  #parts = {};
  #list = null;
  #dialog = null;
  #callId = null; // of the call that is listed
  #frames = []; // those that pass the filter
  #taken = 0; // how many of the call's frames were looked at
  #isPaused = false;
  #refreshSoon = beforeNextPicture(() => this.#refresh());
  #chips = new Set();
  #words = "";

  connectedCallback() {
    this.#gone = new AbortController();
    const { signal } = this.#gone;
    this.#build();
    for (const type of ["frame", "status"]) store.on(type, this.#refreshSoon, signal);
    store.on("shown", () => this.#begin(), signal);
    document.addEventListener("llmws-key", ({ detail }) => this.#press(detail.key), { signal });
    document.addEventListener("llmws-show", ({ detail }) => this.#show(detail), { signal });
    this.#begin();
  }

  disconnectedCallback() {
    this.#gone.abort();
  }

  #build() {
    const parts = this.#parts;
    parts.filter = h("input", {
      type: "text",
      class: "field wire-filter",
      "aria-label": "Filter frames",
      placeholder: "Filter frames",
      spellcheck: "false",
      autocomplete: "off",
      oninput: () => this.#setWords(),
    });
    parts.chips = Object.keys(CHIPS).map((name) =>
      button(name, ({ target }) => this.#toggle(name, target), { "aria-pressed": "false" }),
    );
    parts.pause = button("Pause", () => this.#pause());
    parts.save = button("Export", () => this.#save(), { "aria-label": "Export the recording" });
    parts.latest = button("To the latest", () => this.#goToLatest());
    parts.count = h("span", { class: "muted wire-count" });
    parts.told = h("p", { role: "status", class: "visually-hidden" });
    parts.empty = h("p", { class: "empty" });
    parts.grid = h("div", { id: "wire-frame", class: "wire-frames scroll", "aria-label": "Frames" });
    this.#dialog = h("llmws-frame-dialog", { "onframe-step": ({ detail }) => this.#step(detail) });
    fill(
      this,
      h("div", { class: "toolbar" }, h("h2", {}, "Wire"), parts.count, parts.latest, parts.pause, parts.save),
      h("div", { class: "toolbar" }, parts.filter, h("div", { class: "wire-chips", role: "group", "aria-label": "Which frames" }, parts.chips)),
      parts.told,
      parts.grid,
      parts.empty,
      this.#dialog,
    );
    this.#buildList();
  }

  #buildList() {
    const cell = (role, name, text = "") => h("div", { role, class: `wire-${name}` }, text);
    const names = ["at", "from", "kind", "id", "says", "size"];
    this.#list = new VirtualList(this.#parts.grid, {
      head: h("div", { role: "row", class: "wire-row wire-head" }, names.map((name, n) => cell("columnheader", name, COLUMNS[n]))),
      makeRow: () => h("div", { class: "wire-row" }, names.map((name) => cell("gridcell", name))),
      fillRow: (row, index) => fillRow(row, this.#frames[index]),
    });
    this.#parts.grid.addEventListener("list-open", () => this.#open());
    this.#parts.grid.addEventListener("list-follow", () => this.#showLatest());
  }

  /** List another call, or the same one anew after the page was away. */
  #begin() {
    const callId = store.shown?.call_id ?? null;
    if (callId !== this.#callId) {
      this.#callId = callId;
      this.#isPaused = false;
      this.#list.select(-1);
      if (store.isLive) this.#list.follow();
      else this.#list.rewind();
    }
    this.#refilter();
  }

  /** Look at all frames again; the selected one stays selected if it passes. */
  #refilter() {
    const selected = this.#frames[this.#list.selected];
    const isFollowing = this.#list.isFollowing;
    const seen = this.#isPaused ? this.#taken : Infinity;
    this.#frames = [];
    this.#taken = 0;
    this.#take(seen);
    this.#list.setCount(this.#frames.length, { isNew: true });
    this.#list.select(selected ? this.#placeOf(selected.n) : -1);
    if (isFollowing) this.#list.follow();
    this.#showState();
  }

  #take(upTo = Infinity) {
    const all = store.shown?.frames ?? [];
    const end = Math.min(all.length, upTo);
    for (; this.#taken < end; this.#taken += 1) {
      if (this.#passes(all[this.#taken])) this.#frames.push(all[this.#taken]);
    }
  }

  #passes(frame) {
    for (const name of this.#chips) if (!CHIPS[name](frame)) return false;
    if (!this.#words) return true;
    return `${frame.kind} ${frame.says} ${frame.dropped ?? ""}`.toLowerCase().includes(this.#words);
  }

  #refresh() {
    if (!this.#isPaused) this.#take();
    this.#list.setCount(this.#frames.length);
    this.#showState();
    if (this.#dialog.isOpen) this.#open(); // there may be a next one now
  }

  #showState() {
    const { count, pause, save, grid, empty } = this.#parts;
    const all = store.shown?.frames.length ?? 0;
    const listed = this.#frames.length;
    const isFiltered = this.#words !== "" || this.#chips.size > 0;
    setText(count, isFiltered ? `${listed} of ${plural(all)}` : plural(all));
    setText(pause, this.#isPaused ? `Resume (${all - this.#taken} new)` : "Pause");
    save.disabled = all === 0;
    pause.disabled = !this.#isPaused && !(store.isLive && store.isCalling);
    grid.hidden = listed === 0;
    empty.hidden = listed > 0;
    setText(empty, all === 0 ? "No frames yet. Make a web call, and each one is here as it goes by." : "No frame passes the filter.");
    this.#showLatest();
  }

  #showLatest() {
    this.#parts.latest.disabled = this.#list.isFollowing || this.#frames.length === 0;
  }

  #goToLatest() {
    this.#list.follow();
    this.#parts.grid.focus({ preventScroll: true }); // the button has no more to do
  }

  #setWords() {
    this.#words = this.#parts.filter.value.trim().toLowerCase();
    this.#refilter();
    this.#tell(`The filter leaves ${plural(this.#frames.length)}.`);
  }

  #toggle(name, chip) {
    const isOn = !this.#chips.delete(name);
    if (isOn) this.#chips.add(name);
    chip.setAttribute("aria-pressed", isOn);
    this.#refilter();
    this.#tell(`The filter leaves ${plural(this.#frames.length)}.`);
  }

  #clearFilter() {
    this.#parts.filter.value = this.#words = "";
    this.#chips.clear();
    for (const chip of this.#parts.chips) chip.setAttribute("aria-pressed", "false");
    this.#refilter();
  }

  #pause() {
    this.#isPaused = !this.#isPaused;
    this.#refresh();
  }

  async #save() {
    const wrong = await saveRecording(this.#callId);
    if (wrong) store.apply({ type: "trouble", text: wrong });
  }

  #press(key) {
    if (key === "filter") {
      this.#bringForward();
      this.#parts.filter.focus();
    } else if (key === "open-frame" && this.#list.selected >= 0) {
      if (!this.#dialog.isOpen) this.#open();
    } else if (key in KEYS) {
      this.#bringForward();
      this.#step(KEYS[key]);
    }
  }

  #step(by) {
    this.#list.step(by);
    if (this.#dialog.isOpen) this.#open();
    else this.#parts.grid.focus({ preventScroll: true });
  }

  #bringForward() {
    if (this.closest("[hidden]")) document.dispatchEvent(new CustomEvent("llmws-show", { detail: { panel: "wire" } }));
  }

  #show({ panel, frame }) {
    if (panel !== "wire" || frame === undefined) return;
    if (this.#isPaused) this.#pause();
    this.#take();
    if (this.#placeOf(frame) < 0) this.#clearFilter();
    this.#list.setCount(this.#frames.length);
    this.#list.select(this.#placeOf(frame));
    this.#showState();
    requestAnimationFrame(() => this.#parts.grid.focus({ preventScroll: true })); // its tab is shown by then
  }

  #open() {
    const place = this.#list.selected;
    const frame = this.#frames[place];
    if (!frame) return;
    this.#dialog.show(this.#callId, frame, { hasPrevious: place > 0, hasNext: place < this.#frames.length - 1 });
  }

  #placeOf(number) {
    return this.#frames.findIndex(({ n }) => n === number);
  }

  #tell(text) {
    this.#parts.told.textContent = text;
  }
}

function fillRow(row, frame) {
  const [at, from, kind, id, says, length] = row.children;
  const isPlatform = frame.sender === "platform";
  row.classList.toggle("is-background", BACKGROUND.has(frame.kind));
  setText(at, seconds(frame.at_s));
  setText(from, isPlatform ? "platform →" : "← server");
  from.classList.toggle("from-platform", isPlatform);
  from.classList.toggle("from-server", !isPlatform);
  setText(kind, frame.kind);
  setText(id, frame.id === null ? "" : `${frame.id}`);
  setText(length, size(frame.size));
  if (frame.dropped) fill(says, h("span", { class: "badge bad" }, `dropped: ${frame.dropped}`), " ", frame.says);
  else setText(says, frame.says);
}

function plural(count) {
  return count === 1 ? "1 frame" : `${count.toLocaleString("en")} frames`;
}

customElements.define("llmws-wire", Wire);
