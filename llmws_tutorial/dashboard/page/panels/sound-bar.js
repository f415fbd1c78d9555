// Who speaks and who listens: the agent's voice, the caller's microphone, and why not the best.

import { connection, microphone, player, store } from "../app.js";
import { button, h, setText } from "../dom.js";
import { Recognition } from "../recognition.js";

const VOICES = { kit: "The kit's own", browser: "Your browser's", captions: "Captions and a tone" };

class SoundBar extends HTMLElement {
  #voice = h(
    "select",
    { class: "field", id: "voice", onchange: () => this.#choose() },
    Object.entries(VOICES).map(([value, text]) => h("option", { value }, text)),
  );
  #level = h("span", { class: "level", "aria-hidden": "true" });
  #talk = h(
    "button",
    { type: "button", class: "button", "aria-pressed": "false", onclick: () => this.#toggle() },
    this.#level,
    "Talk",
  );
  #browserTalk = button("Talk by the browser", () => this.#toggleBrowser(), { "aria-pressed": "false" });
  #notes = h("p", { class: "notes muted" });
  #recognition = Recognition.isThere ? new Recognition(connection) : null;
  #isHeld = false; // Space is down: the microphone stays on for as long

  connectedCallback() {
    const help = () => document.dispatchEvent(new CustomEvent("llmws-key", { detail: { key: "help" } }));
    this.append(
      h(
        "div",
        { class: "controls" },
        h("label", { for: "voice", class: "muted" }, "Voice"),
        this.#voice,
        this.#talk,
        this.#browserTalk,
        button("Keys", help, { class: "button quiet" }),
      ),
      this.#notes,
    );
    for (const type of ["connected", "disconnected", "voice", "shown", "status"]) store.on(type, () => this.#show());
    store.on("deaf", () => this.#fallSilent()); // nobody listens to the microphone any more
    microphone.addEventListener("level", ({ detail }) => this.#level.style.setProperty("--level", detail));
    for (const ears of [microphone, this.#recognition].filter(Boolean)) {
      ears.addEventListener("change", () => this.#show());
      ears.addEventListener("lost", ({ detail }) => complain(detail));
    }
    player.addEventListener("kinds", () => this.#show());
    document.addEventListener("llmws-key", (event) => this.#key(event));
    this.#show();
  }

  get #canTalk() {
    return store.isConnected && store.isCalling && store.live.status.is_open;
  }

  /** Whether the kit's ears are not there, and will not come; the browser's may send sound elsewhere. */
  get #mustTheBrowserHear() {
    const { no_ears: noEars, are_ears_loading: areLoading } = store.voice;
    return noEars !== "" && !areLoading && this.#recognition !== null;
  }

  #show() {
    const { kind, no_kit: noKit, no_ears: noEars } = store.voice;
    this.#fallBack();
    this.#voice.value = kind;
    this.#voice.disabled = !store.isConnected;
    for (const option of this.#voice.options) {
      option.disabled = option.value === "kit" ? noKit !== "" : option.value === "browser" && !player.kinds.browser;
    }
    if (!this.#canTalk) this.#fallSilent();
    this.#talk.hidden = noEars !== "";
    this.#talk.disabled = !this.#canTalk;
    this.#talk.setAttribute("aria-pressed", microphone.isOn);
    this.#browserTalk.hidden = !this.#mustTheBrowserHear;
    this.#browserTalk.disabled = !this.#canTalk;
    this.#browserTalk.setAttribute("aria-pressed", this.#recognition?.isOn ?? false);
    setText(this.#notes, this.#words().join(" "));
  }

  /** What there is to say about the voice and the ears. */
  #words() {
    const { kind, no_kit: noKit, no_ears: noEars } = store.voice;
    if (isLoading()) return [`For a moment: ${noKit}.`];
    const words = [];
    if (kind === "browser" && noKit) words.push(`Your browser speaks: ${noKit}.`);
    if (kind === "captions" && noKit) words.push(`Nobody speaks: ${noKit}.`);
    if (microphone.isOn) words.push("With headphones the agent does not hear itself.");
    const type = store.voice.are_ears_loading ? "For a moment, type" : "Type";
    if (noEars) words.push(`${type} what you say: ${noEars}.`);
    if (this.#mustTheBrowserHear) words.push(Recognition.label);
    return words;
  }

  /** Without the kit's voice the browser's is the next best, unless somebody chose. */
  #fallBack() {
    const { is_chosen: isChosen, kind } = store.voice;
    const isNeeded = store.isConnected && kind === "captions" && !isChosen && !isLoading();
    if (isNeeded && player.kinds.browser && store.isSounding) connection.send({ type: "use_voice", kind: "browser" });
  }

  #choose() {
    player.unlock();
    connection.send({ type: "use_voice", kind: this.#voice.value });
  }

  #toggle() {
    this.#isHeld = false;
    if (microphone.isOn) microphone.stop({ isTurnOver: false });
    else this.#listen();
    this.#show();
  }

  async #listen() {
    try {
      await microphone.start();
      if (!this.#canTalk) this.#fallSilent();
    } catch (error) {
      complain(error.message);
    }
    this.#show();
  }

  #toggleBrowser() {
    if (this.#recognition.isOn) this.#recognition.stop();
    else this.#recognition.start();
    this.#show();
  }

  /** Nobody is there to be talked to. */
  #fallSilent() {
    if (microphone.isOn) microphone.stop({ isTurnOver: false });
    if (this.#recognition?.isOn) this.#recognition.stop();
  }

  #key(event) {
    if (event.detail.key === "talk-start" && this.#canTalk && !this.#talk.hidden && !microphone.isOn) {
      event.preventDefault();
      this.#hold();
    } else if (event.detail.key === "talk-stop") {
      this.#letGo();
    }
  }

  async #hold() {
    this.#isHeld = true;
    await this.#listen();
    if (!this.#isHeld && microphone.isOn) microphone.stop({ isTurnOver: true }); // let go meanwhile
    this.#show();
  }

  #letGo() {
    if (this.#isHeld && microphone.isOn) microphone.stop({ isTurnOver: true });
    this.#isHeld = false;
    this.#show();
  }
}

function complain(text) {
  store.apply({ type: "trouble", text });
}

function isLoading() {
  return store.voice.is_loading;
}

customElements.define("llmws-sound-bar", SoundBar);
