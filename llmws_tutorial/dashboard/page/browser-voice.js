// The browser's own voice: speaks a piece, and reports how many of its words it has begun.

const WORDS_PER_S = 3; // where the browser does not tell
const SILENT_MS = 1000; // after which it is taken for one that does not tell
const LANGUAGES = [
  [/[\u3040-\u30ff]/, "ja-JP"],
  [/[\uac00-\ud7af]/, "ko-KR"],
  [/[\u3400-\u9fff]/, "zh-CN"],
];

/**
 * Speaks with `speechSynthesis`. Its events:
 *   voices   whether the browser has a voice has changed: see `isThere`
 *   refused  the browser does not let it speak before somebody clicks
 */
export class BrowserVoice extends EventTarget {
  #synthesis = window.speechSynthesis ?? null;
  #report;
  #utterance = null; // is kept: some browsers forget those that nobody holds
  #clock = null; // of the estimate

  /** @param {(piece: number, words: number) => void} report - told how many words are begun. */
  constructor(report) {
    super();
    this.#report = report;
    this.#synthesis?.addEventListener?.("voiceschanged", () => this.dispatchEvent(new Event("voices")));
  }

  /** Whether the browser has a voice: some have the interface, but nobody who speaks. */
  get isThere() {
    return this.#synthesis !== null && this.#synthesis.getVoices().length > 0;
  }

  /** Speak a piece {text, starts} from one of its words on. */
  speak(number, { text, starts }, fromWord) {
    this.#stopClock();
    const most = starts.length;
    let begun = fromWord;
    const tell = (words) => {
      if (words <= begun || this.#utterance !== utterance) return;
      begun = Math.min(words, most);
      this.#report(number, begun);
    };
    if (fromWord >= most) return;
    const from = starts[fromWord];
    const utterance = new SpeechSynthesisUtterance(text.slice(from));
    utterance.lang = LANGUAGES.find(([signs]) => signs.test(text))?.[1] ?? "en-US";
    utterance.onstart = () => {
      performance.mark("sound of the agent");
      tell(fromWord + 1);
    };
    utterance.onboundary = ({ name, charIndex }) => {
      if (name === "sentence") return;
      this.#stopClock();
      tell(starts.filter((start) => start <= from + charIndex).length);
    };
    utterance.onend = () => {
      this.#stopClock();
      tell(most);
    };
    utterance.onerror = ({ error }) => {
      if (error === "not-allowed") this.dispatchEvent(new Event("refused"));
    };
    this.#utterance = utterance;
    this.#startClock(() => tell(Math.min(begun + 1, most - 1)));
    this.#synthesis?.speak(utterance);
  }

  /** Stop in mid-word. */
  hush() {
    this.#stopClock();
    this.#utterance = null;
    this.#synthesis?.cancel();
  }

  /** Count words by the clock while the browser tells nothing; the last one is left to its end. */
  #startClock(count) {
    this.#clock = setTimeout(() => {
      count();
      this.#clock = setInterval(count, 1000 / WORDS_PER_S);
    }, SILENT_MS);
  }

  #stopClock() {
    clearTimeout(this.#clock); // also ends an interval
    this.#clock = null;
  }
}
