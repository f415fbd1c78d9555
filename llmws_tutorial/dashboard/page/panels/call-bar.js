// The call bar: the server's URL, the big button, how far the call has come, and for how long.

import { connection, player, store } from "../app.js";
import { button, fill, h, setText } from "../dom.js";
import { ending } from "../endings.js";
import { Clock } from "../clock.js";
import { recall, remember } from "../memory.js";

const KEY = "llmws url";
const HINT_MS = 250;
const SLOW_MS = 3000;
const BEFORE = "waiting for the first message"; // what a call says of itself before it is dialled
const AGAIN = "trying again"; // how the news of an attempt that failed ends
const EXAMPLE = "ws://127.0.0.1:8080/llm-websocket/";

class CallBar extends HTMLElement {
  #field = h("input", {
    class: "field mono",
    id: "url",
    name: "url",
    type: "text",
    inputmode: "url",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    placeholder: EXAMPLE,
    "aria-describedby": "url-hints",
    oninput: () => this.#typed(),
    onkeydown: (event) => this.#entered(event),
  });
  #earlier = button("", () => this.#takeEarlier(), { class: "button quiet earlier", hidden: true });
  #button = h("button", { class: "button primary call", type: "submit" }, "Make a web call");
  #clock = h("span", { class: "clock", role: "timer", "aria-label": "Length of the call", hidden: true });
  #hints = h("ul", { class: "hints", id: "url-hints", "aria-live": "polite" });
  #state = h("p", { class: "state", role: "status" });
  #turn = h("span", { class: "muted turn" });
  #slow = h("div", { class: "slow", role: "status", "aria-atomic": "false" }); // only what is new is read out
  #time = new Clock();
  #memory = recall(KEY) ?? {};
  #isTouched = false;
  #hinting = 0;
  #stages = []; // of the dialling: [milliseconds, what was told]
  #dialledAt = 0;

  connectedCallback() {
    this.append(
      h(
        "form",
        { onsubmit: (event) => this.#pressed(event) },
        h("h1", { class: "brand" }, h("img", { src: "favicon.svg", alt: "", width: "22", height: "22" }), "llmws"),
        h("label", { class: "url", for: "url" }, "Server URL"),
        this.#field,
        this.#button,
        this.#clock,
      ),
      this.#earlier,
      this.#hints,
      h("div", { class: "line" }, this.#state, this.#turn),
      this.#slow,
    );
    store.on("connected", () => this.#connected());
    store.on("hints", (event) => event.url === this.#field.value && this.#showHints(event.hints));
    store.on("frame", (event) => this.#time.set(event.at_s));
    store.on("shown", () => this.#begun());
    for (const type of ["status", "disconnected", "locked"]) store.on(type, () => this.#show());
    document.addEventListener("llmws-key", ({ detail }) => this.#key(detail.key));
    setInterval(() => this.#tick(), 250);
    this.#show();
  }

  #connected() {
    const proposed = store.hello.url;
    if (!this.#isTouched) {
      const isSame = proposed === this.#memory.proposed || !proposed;
      this.#field.value = (isSame && this.#memory.typed) || proposed;
    }
    store.url = this.#field.value;
    const { typed } = this.#memory;
    this.#earlier.hidden = !typed || typed === store.url;
    this.#earlier.textContent = `Instead the server of last time: ${typed}`;
    this.#askForHints();
    this.#show();
  }

  #takeEarlier() {
    this.#field.value = this.#memory.typed;
    this.#earlier.hidden = true;
    this.#typed();
    this.#field.focus();
  }

  #typed() {
    this.#isTouched = true;
    store.url = this.#field.value;
    clearTimeout(this.#hinting);
    this.#hinting = setTimeout(() => this.#askForHints(), HINT_MS);
  }

  #askForHints() {
    if (this.#field.value.trim()) connection.send({ type: "hint", url: this.#field.value });
    else this.#showHints([]);
  }

  #showHints(hints) {
    fill(this.#hints, hints.map((hint) => h("li", {}, hint)));
  }

  /** Enter in the field always calls, also in place of the call that goes on. */
  #entered(event) {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    if (store.isConnected) this.#call();
  }

  #pressed(event) {
    event.preventDefault();
    if (!store.isConnected) return;
    if (store.isCalling) connection.send({ type: "hang_up" });
    else this.#call();
  }

  #key(key) {
    if (key === "call" && !store.isCalling && store.isConnected) this.#call();
    if (key === "hang-up" && store.isCalling) connection.send({ type: "hang_up" });
  }

  #call() {
    player.unlock();
    const url = this.#field.value;
    if (!url.trim()) {
      clearTimeout(this.#hinting);
      this.#showHints([`write the URL of your server first, as in ${EXAMPLE}`]);
      this.#field.focus();
      return;
    }
    this.#memory = { proposed: store.hello?.url, typed: url };
    this.#earlier.hidden = true;
    remember(KEY, this.#memory);
    if (store.opened) store.showLive();
    connection.send({ type: "call", url });
  }

  /** A call is there that was not there before, or another one is looked at. */
  #begun() {
    if (store.live && store.live.call_id !== this.#time.of) {
      this.#time = new Clock(store.live.call_id, store.live.frames.at(-1)?.at_s);
      this.#dialledAt = performance.now();
      this.#stages = [];
    }
    this.#show();
  }

  #show() {
    const status = store.live?.status;
    const isDialling = store.isCalling && !status.is_open;
    this.#button.ariaDisabled = !store.isConnected; // disabled, it would lose the focus for good
    this.#button.textContent = store.isCalling ? "Hang up" : "Make a web call";
    this.#button.classList.toggle("danger", store.isCalling);
    document.title = store.isCalling ? "In a call" : "Make a web call";
    this.#clock.hidden = !store.live || (status.is_over && !status.connections);
    if (isDialling && status.says !== BEFORE && this.#stages.at(-1)?.[1] !== status.says) {
      this.#stages.push([performance.now() - this.#dialledAt, status.says]);
    }
    this.#tick();
    const [kind, text] = this.#words(status, isDialling);
    this.#state.dataset.kind = kind;
    setText(this.#state, text);
    setText(this.#turn, store.isConnected && store.isCalling && status.is_open ? turn(status) : "");
  }

  /** What the status line says, and how it looks. */
  #words(status, isDialling) {
    if (!store.isConnected) return ["idle", "The dashboard is not connected."];
    if (!status) return ["idle", "Ready. Make a call and hear the agent."];
    const stage = this.#slow.childElementCount ? undefined : this.#stages.at(-1)?.[1];
    if (isDialling) return ["busy", stage ? `Dialling: ${stage}` : "Dialling"];
    if (status.trouble) return ["bad", `No call: ${status.trouble}`];
    if (status.is_over) return [status.ended?.startsWith("error_") ? "bad" : "idle", `The call is over. ${ending(store.live)}`];
    return ["good", "In a call"];
  }

  #tick() {
    const status = store.live?.status;
    const isDialling = store.isCalling && !status.is_open;
    const passedMs = performance.now() - this.#dialledAt;
    if (store.live && !this.#clock.hidden) {
      if (status.is_over) this.#time.stop();
      setText(this.#clock, isDialling ? `${Math.floor(passedMs / 1000)} s` : this.#time.text);
    }
    const isSlow = isDialling && passedMs >= SLOW_MS;
    if (!isSlow) this.#slow.replaceChildren();
    else if (this.#slow.childElementCount === 0 || this.#slow.dataset.told !== `${this.#stages.length}`) this.#tell(status);
  }

  /** It takes long: say what failed so far, where it stands, and what mostly helps; nothing twice. */
  #tell(status) {
    this.#slow.dataset.told = `${this.#stages.length}`;
    const told = this.#stages.filter(([, says], place) => says.endsWith(AGAIN) || place === this.#stages.length - 1);
    const lines = told.map(([at, says]) => `after ${(at / 1000).toFixed(1)} s: ${says}`);
    if (this.#slow.childElementCount === 0) {
      fill(this.#slow, h("p", {}, "There is no call yet with ", h("span", { class: "mono" }, store.live.url)), h("ol"), h("p"));
    }
    const [, list, fix] = this.#slow.children;
    for (const item of [...list.children]) if (!lines.includes(item.textContent)) item.remove();
    list.append(...lines.slice(list.childElementCount).map((line) => h("li", {}, line)));
    setText(fix, status.likely_fix ? `What mostly helps: ${status.likely_fix}` : "");
  }
}

/** Where an open call stands, and whether it is still on its first connection. */
function turn({ says, connections }) {
  return connections > 1 ? `${says}, on connection ${connections}: the line was lost` : says;
}

customElements.define("llmws-call-bar", CallBar);
