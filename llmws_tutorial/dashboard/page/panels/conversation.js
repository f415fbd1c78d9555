// The conversation: what was sent against what was heard, in the call that is shown.
//
// The list that eyes read changes with every word. Ears get another one, a log to which each
// utterance is added once, when nothing of it changes any more.

import { store } from "../app.js";
import { button, fill, h, setText } from "../dom.js";
import { beforeNextPicture } from "../redraw.js";
import "./say-box.js";
import { isFinal, isShown, lastEntry, line, utterance } from "../utterance.js";

const NEAR = 40; // pixels from the bottom that still count as being there
const MOST_SHOWN = 300;
const MOST_LINES = 200;

class Conversation extends HTMLElement {
  #bar = h("div", { class: "old", hidden: true });
  #list = h("ol", { class: "talk" });
  #live = h("p", { class: "ears", hidden: true, dir: "auto" });
  #scroller = h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Utterances", onscroll: () => this.#scrolled() },
    this.#list,
    this.#live,
  );
  #newest = button("To the newest", () => this.#goToEnd(), { class: "button newest", hidden: true });
  #title = h("span", { class: "muted title", dir: "auto" });
  #log = h("div", { class: "visually-hidden", role: "log", "aria-label": "Conversation" });
  #entries = []; // by place
  #changed = new Set(); // places
  #first = 0; // the first place that is shown
  #told = 0; // how many items are in the log
  #lastTold = null; // the last of them that the caller said: its place, and as much as was told
  #ears = null; // what is recognised of the caller's voice so far; null: nobody speaks
  #renderSoon = beforeNextPicture(() => this.#render());
  #isAtEnd = true;
  #end = null; // the entry at the end: how it ended, or that there is nothing yet

  connectedCallback() {
    this.setAttribute("role", "region");
    this.setAttribute("aria-labelledby", "conversation-title");
    this.append(
      h("div", { class: "head" }, h("h2", { id: "conversation-title" }, "Conversation"), this.#title),
      this.#bar,
      h("div", { class: "frame" }, this.#scroller, this.#newest),
      document.createElement("llmws-say-box"),
      this.#log,
    );
    store.on("connected", () => this.#all());
    store.on("shown", () => this.#all());
    store.on("item", (event) => this.#change(event));
    for (const type of ["status", "line"]) store.on(type, () => this.#change({}));
    store.on("ears", (event) => {
      this.#ears = event.is_over ? null : event.text;
      this.#change({});
    });
    this.#all();
  }

  /** Another call is shown: everything is new. */
  #all() {
    const call = store.shown;
    this.#changed.clear();
    this.#log.replaceChildren();
    this.#lastTold = null;
    this.#told = call?.items.length ? call.items.filter((item) => isFinal(item, call)).length : 0;
    fill(this.#title, call?.title ? `Scenario: ${call.title}` : null);
    this.#showBar();
    if (call === null) fill(this.#list, this.#nothing());
    else this.#showFrom(call.items.length - MOST_SHOWN, call);
    this.#render();
    this.#toEnd();
  }

  /** Something of the live call has changed; it is drawn with the next frame of the screen. */
  #change({ place }) {
    if (!store.isLive || store.live === null) return;
    if (place !== undefined) this.#changed.add(place);
    this.#renderSoon();
  }

  #render() {
    const call = store.shown;
    if (call === null) return;
    const isTooMuch = call.items.length - this.#first > 2 * MOST_SHOWN;
    if (isTooMuch && this.#isAtEnd) this.#showFrom(call.items.length - MOST_SHOWN, call);
    const isOver = call.status.is_over !== false;
    for (const place of [...this.#changed].sort((one, other) => one - other)) {
      if (place >= this.#first) this.#put(place, call);
      // what is not final yet is drawn again when the call moves on, for its label
      if (isOver || isFinal(call.items[place], call)) this.#changed.delete(place);
    }
    this.#showEnd(call);
    this.#showEars();
    if (store.isLive) this.#tell(call);
    if (this.#isAtEnd) this.#toEnd();
    else this.#newest.hidden = false;
  }

  #put(place, call) {
    if (!isShown(call.items[place], call)) return;
    const entry = utterance(call.items[place], call);
    let later = place + 1;
    while (later < this.#entries.length && !this.#entries[later]) later += 1;
    if (this.#entries[place]) this.#entries[place].replaceWith(entry);
    else this.#list.insertBefore(entry, this.#entries[later] ?? this.#end);
    this.#entries[place] = entry;
  }

  #showEnd(call) {
    const entry = lastEntry(call) ?? this.#empty(call);
    this.#end?.remove();
    this.#end = entry;
    if (entry) this.#list.append(entry);
  }

  #empty(call) {
    if (call.items.some((item) => isShown(item, call))) return null;
    if (call.status.state === undefined) return this.#note("Of this call only its frames were kept: see Wire.");
    if (call.status.is_over) return null;
    return this.#note(call.status.is_open ? "The line is open. Nobody has said a word yet." : "Dialling.");
  }

  #nothing() {
    const what = 'No call yet. "Make a web call" dials the server above: you hear its agent, and read here what it says.';
    return this.#note(store.hello?.about && store.url === store.hello.url ? `${what} ${store.hello.about}` : what);
  }

  #note(text) {
    return h("li", { class: "empty" }, text);
  }

  /** Show all from a place on; what comes before is a click away. */
  #showFrom(first, call) {
    this.#first = Math.max(0, first);
    this.#entries = [];
    this.#end = null;
    const show = button(`Show earlier ones (${this.#first})`, () => this.#showEarlier(call), { class: "button quiet" });
    fill(this.#list, this.#first > 0 ? h("li", {}, show) : null);
    for (let place = this.#first; place < call.items.length; place += 1) this.#changed.add(place);
  }

  #showEarlier(call) {
    const below = this.#scroller.scrollHeight - this.#scroller.scrollTop;
    this.#isAtEnd = false;
    this.#showFrom(this.#first - MOST_SHOWN, call);
    this.#render();
    this.#scroller.scrollTop = this.#scroller.scrollHeight - below;
    this.#scroller.focus();
  }

  #showBar() {
    const { opened } = store;
    this.#bar.hidden = opened === null;
    if (opened === null) return;
    const start = new Date(opened.started_ms).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
    fill(
      this.#bar,
      h("p", {}, opened.started_ms ? `A call of ${start}, from the disk.` : "A call from the disk."),
      button(this.#wayBack(), () => store.showLive()),
    );
  }

  #wayBack() {
    if (store.isCalling) return "Back to the live call";
    return store.live ? "Back to the last call" : "Close it";
  }

  /** What is recognised of a voice, for as long as it is not an utterance in the list. */
  #showEars() {
    const last = store.live?.items.at(-1);
    const isListed = last?.role === "user" && this.#ears !== "" && last.sent.includes(this.#ears);
    this.#live.hidden = this.#ears === null || !store.isLive || !store.isCalling || isListed;
    setText(this.#live, this.#ears ? `You are saying: ${this.#ears}` : "Somebody is speaking …");
  }

  /** Add to the log what is final, in order. */
  #tell(call) {
    this.#tellRest(call);
    while (this.#told < call.items.length && isFinal(call.items[this.#told], call)) {
      const item = call.items[this.#told];
      if (isShown(item, call)) this.#log.append(h("p", {}, line(item, call)));
      if (item.role === "user") this.#lastTold = { place: item.place, length: item.sent.length };
      this.#told += 1;
    }
    while (this.#log.childElementCount > MOST_LINES) this.#log.firstChild.remove();
  }

  /** The caller went on where they seemed to have finished. */
  #tellRest(call) {
    const item = call.items[this.#lastTold?.place];
    if (item === undefined || item.sent.length <= this.#lastTold.length || !isFinal(item, call)) return;
    this.#log.append(h("p", {}, line({ ...item, sent: item.sent.slice(this.#lastTold.length).trim() }, call)));
    this.#lastTold.length = item.sent.length;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    this.#isAtEnd = scrollHeight - scrollTop - clientHeight < NEAR;
    if (this.#isAtEnd) this.#newest.hidden = true;
  }

  #goToEnd() {
    this.#toEnd();
    this.#scroller.focus(); // the button has no more to do
  }

  #toEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#isAtEnd = true;
    this.#newest.hidden = true;
  }
}

customElements.define("llmws-conversation", Conversation);
