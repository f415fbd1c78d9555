// The browser's own recognition of speech, for where the kit's is not installed.

const Engine = window.SpeechRecognition ?? window.webkitSpeechRecognition ?? null;
const HOPELESS = {
  "not-allowed": "the microphone was not allowed: allow it beside the address of this page, and try again",
  "service-not-allowed": "this browser does not allow recognition of speech here",
  "audio-capture": "there is no microphone: plug one in, or type instead",
  network: "the browser's recognition does not answer: it needs a network",
  "language-not-supported": "the browser's recognition does not know English",
};

/**
 * Tells the dashboard what the browser understood. Its events:
 *   change  it was switched on or off: see `isOn`
 *   lost    it gave up; why, in words, in `detail`
 */
export class Recognition extends EventTarget {
  #connection;
  #engine = null; // while it is on

  /** @param {import("./connection.js").Connection} connection - who is told. */
  constructor(connection) {
    super();
    this.#connection = connection;
  }

  /** Whether this browser has one. */
  static get isThere() {
    return Engine !== null;
  }

  /** What is sent where, in one sentence. */
  static get label() {
    return `${whoHears()} Nothing of it is kept by this page.`;
  }

  /** Whether it is on. */
  get isOn() {
    return this.#engine !== null;
  }

  /** Switch it on. */
  start() {
    if (this.isOn) return;
    const engine = new Engine();
    engine.lang = "en-US";
    engine.continuous = true;
    engine.interimResults = true;
    engine.onresult = (event) => this.#understand(event);
    engine.onerror = ({ error }) => this.#lose(engine, error);
    engine.onend = () => {
      if (this.#engine === engine) engine.start(); // it stops by itself after a silence
    };
    this.#engine = engine;
    engine.start();
    this.dispatchEvent(new Event("change"));
  }

  /** Switch it off; what was said until now is all. */
  stop() {
    const engine = this.#engine;
    if (engine === null) return;
    this.#engine = null;
    engine.stop(); // what it still knows it tells
    this.dispatchEvent(new Event("change"));
  }

  #understand({ results, resultIndex }) {
    const latest = [...results].slice(resultIndex);
    const said = latest.map((result) => result[0].transcript).join("").trim();
    if (said === "") return;
    const isOver = latest.every((result) => result.isFinal);
    this.#connection.send({ type: "heard", text: said, is_over: isOver });
  }

  #lose(engine, error) {
    const words = HOPELESS[error];
    if (words === undefined || this.#engine !== engine) return; // silence, or we stopped it
    this.stop();
    this.dispatchEvent(new CustomEvent("lost", { detail: words }));
  }
}

function whoHears() {
  const brands = navigator.userAgentData?.brands.map(({ brand }) => brand) ?? [];
  if (brands.includes("Google Chrome")) return "Chrome sends your voice to Google to understand it.";
  if (brands.includes("Microsoft Edge")) return "Edge sends your voice to Microsoft to understand it.";
  const isSafari = navigator.vendor === "Apple Computer, Inc.";
  if (isSafari) return "Safari may send your voice to Apple to understand it.";
  return "This browser may send your voice to its maker to understand it.";
}
