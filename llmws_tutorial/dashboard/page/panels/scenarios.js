// Scenarios: simulated callers who know what they want; played aloud or fast, one or all of them.

import { connection, store } from "../app.js";
import { button, fill, h, setText } from "../dom.js";
import "./own-scenario.js";

const ALOUD = 1;
const FAST = 20;
const OWN = "your own";

class Scenarios extends HTMLElement {
  #gone = null;
  #parts = {};
  #rows = new Map(); // by the scenario's name: {state, outcome, needs, shown}
  #outcomes = new Map(); // of what was played since the page was opened
  #playing = { name: "", title: "", waiting: [] };

  connectedCallback() {
    this.#gone = new AbortController();
    const { signal } = this.#gone;
    this.#build();
    store.on("connected", () => this.#fillList(), signal);
    store.on("playing", (playing) => this.#setPlaying(playing), signal);
    store.on("outcome", (outcome) => this.#setOutcome(outcome), signal);
  }

  disconnectedCallback() {
    this.#gone.abort();
  }

  #build() {
    const parts = this.#parts;
    parts.all = button("Play all, fast", () => this.#playAll());
    parts.stop = button("Stop", () => connection.send({ type: "hang_up" }), { hidden: true });
    parts.says = h("p", { role: "status", class: "muted" });
    parts.list = h("ul", { class: "scenarios", role: "list" });
    parts.own = h("llmws-own-scenario", {
      "onown-play": ({ detail }) => this.#play({ text: detail.text }, detail.isAloud),
    });
    parts.ownRow = { state: h("span", {}), outcome: h("div", {}) };
    this.#rows.set(OWN, parts.ownRow);
    this.replaceChildren(
      h("h2", {}, "Scenarios"),
      h(
        "p",
        { class: "muted" },
        "A scenario is a simulated caller: it talks, interrupts, falls silent, and then says whether your server did " +
          "what it expected. It takes the place of a call that goes on. All of them, fast, take about two minutes: most " +
          "of it is the long call, which comes last.",
      ),
      h("div", { class: "toolbar" }, parts.all, parts.stop, parts.says),
      parts.list,
      h(
        "section",
        { class: "own", "aria-label": "Your own scenario" },
        h("h3", {}, "Your own ", parts.ownRow.state),
        parts.own,
        parts.ownRow.outcome,
      ),
    );
    this.#show();
  }

  #fillList() {
    fill(
      this.#parts.list,
      store.hello.scenarios.map((scenario) => this.#row(scenario)),
    );
    this.#show();
  }

  #row({ name, title, about, needs, calls }) {
    const row = { state: h("span", {}), outcome: h("div", {}), needs };
    this.#rows.set(name, row);
    const play = (text, isAloud) =>
      button(text, () => this.#play({ name }, isAloud), { "aria-label": `${text}: ${title}` });
    return h(
      "li",
      { class: "scenario" },
      h(
        "div",
        { class: "scenario-text" },
        h("h3", {}, title, " ", h("code", { class: "muted" }, name), " ", row.state),
        h("p", { class: "muted" }, about),
        needs ? h("p", {}, `Needs ${needs}.`) : null,
        row.outcome,
      ),
      h(
        "div",
        { class: "toolbar" },
        calls > 1 ? h("span", { class: "badge" }, `${calls} calls at once`) : play("Hear it", true),
        play("Play fast", false),
      ),
    );
  }

  #play(which, isAloud) {
    connection.send({ type: "play", url: store.url, speed: isAloud ? ALOUD : FAST, ...which });
  }

  #playAll() {
    connection.send({ type: "play", url: store.url, speed: FAST });
  }

  #setPlaying(playing) {
    const before = this.#playing;
    this.#playing = playing;
    if (playing.name) this.#outcomes.delete(playing.name);
    else if (before.name && !this.#outcomes.has(before.name)) this.#outcomes.set(before.name, { isStopped: true });
    this.#show();
  }

  #setOutcome(outcome) {
    this.#outcomes.set(outcome.name, outcome);
    this.#show();
    const { own, ownRow } = this.#parts;
    const isAwaited = outcome.name === OWN && own.contains(document.activeElement);
    if (isAwaited) ownRow.outcome.scrollIntoView({ block: "nearest" }); // it is below the text and its buttons
  }

  #show() {
    const { name, title, waiting } = this.#playing;
    const { all, stop, says } = this.#parts;
    all.disabled = waiting.length > 0;
    stop.hidden = name === "";
    const rest = waiting.length > 0 ? ` ${waiting.length} more after it.` : "";
    setText(says, name ? `Playing: ${title}.${rest}` : this.#tally());
    for (const [one, row] of this.#rows) {
      fill(row.state, this.#stateOf(one));
      const outcome = this.#outcomes.get(one);
      if (row.shown === outcome) continue; // what is there may have the focus
      row.shown = outcome;
      fill(row.outcome, detailsOf(outcome, row.needs));
    }
  }

  /** How many of the scenarios that were played went as expected. */
  #tally() {
    const played = [...this.#outcomes.values()].filter(({ isStopped }) => !isStopped);
    if (played.length === 0) return "";
    const passed = played.filter(({ wrongs }) => wrongs.length === 0).length;
    return `${passed} of ${played.length} as expected.`;
  }

  #stateOf(name) {
    if (name === this.#playing.name) return h("span", { class: "badge warn" }, "playing");
    if (this.#playing.waiting.includes(name)) return h("span", { class: "badge" }, "waits its turn");
    const outcome = this.#outcomes.get(name);
    if (outcome === undefined) return null;
    if (outcome.isStopped) return h("span", { class: "badge" }, "stopped before its end");
    const isRight = outcome.wrongs.length === 0;
    return h("span", { class: `badge ${isRight ? "good" : "bad"}` }, isRight ? "as expected" : "not as expected");
  }
}

/** What was not as expected, and the way to the call. */
function detailsOf(outcome, needs) {
  if (outcome === undefined || outcome.isStopped) return [];
  const { wrongs, call_id: callId } = outcome;
  const look = () => {
    connection.send({ type: "open_call", call_id: callId });
    document.dispatchEvent(new CustomEvent("llmws-show", { detail: { panel: "wire" } }));
  };
  return [
    wrongs.length > 0
      ? h(
          "ul",
          { class: "wrongs" },
          wrongs.map((wrong) => h("li", { dir: "auto" }, wrong)),
        )
      : null,
    wrongs.length > 0 && needs ? h("p", { class: "muted" }, `It needs ${needs}: yours may not be made for it.`) : null,
    callId ? button("Look at the call", look, { class: "button quiet" }) : null,
  ];
}

customElements.define("llmws-scenarios", Scenarios);
