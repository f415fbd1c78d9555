// The caller's voice: from the microphone of this machine to the dashboard, and nowhere else.

const WANTED = {
  audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
};
const QUIETEST_DB = -60; // what a level of 0 is

/**
 * Sends what the microphone hears. Its events:
 *   change  it was switched on or off: see `isOn`
 *   level   how loud it is (0 to 1), in `detail`, some 30 times a second
 *   lost    it went away while it was on; why, in words, in `detail`
 *
 * The browser takes out of it what it plays itself, so that the agent does not interrupt itself;
 * that works mostly. With headphones there is nothing to take out.
 */
export class Microphone extends EventTarget {
  #connection;
  #open = null; // {stream, context} while it is on
  #isTold = false; // whether the dashboard knows
  #attempt = 0;

  /** @param {import("./connection.js").Connection} connection - where the sound goes. */
  constructor(connection) {
    super();
    this.#connection = connection;
  }

  /** Whether it is on. */
  get isOn() {
    return this.#open !== null;
  }

  /** Switch it on; rejects with an error whose message says in words why that cannot be. */
  async start() {
    if (this.isOn) return;
    const attempt = (this.#attempt += 1);
    refuseWhereItCannotBe();
    let stream = null;
    let context = null;
    try {
      stream = await navigator.mediaDevices.getUserMedia(WANTED);
      context = new AudioContext();
      await context.audioWorklet.addModule(new URL("mic-worklet.js", import.meta.url));
    } catch (error) {
      release({ stream, context });
      throw new Error(inWords(error), { cause: error });
    }
    if (attempt !== this.#attempt) {
      release({ stream, context }); // it was switched off meanwhile
      return;
    }
    this.#listen(stream, context);
  }

  /** Switch it off; with `isTurnOver`, what was said until now is all (a key was let go). */
  stop({ isTurnOver = false } = {}) {
    this.#attempt += 1;
    if (!this.isOn) return;
    release(this.#open);
    this.#open = null;
    if (this.#isTold) this.#connection.send({ type: "microphone", is_on: false, is_turn_over: isTurnOver });
    this.#isTold = false;
    this.dispatchEvent(new CustomEvent("level", { detail: 0 }));
    this.dispatchEvent(new Event("change"));
  }

  #listen(stream, context) {
    const node = new AudioWorkletNode(context, "llmws-microphone", {
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: "explicit",
    });
    node.port.onmessage = ({ data }) => this.#take(data);
    for (const track of stream.getTracks()) track.onended = () => this.#lose();
    this.#open = { stream, context };
    context.createMediaStreamSource(stream).connect(node);
    if (context.state !== "running") context.resume().catch(() => {});
    this.dispatchEvent(new Event("change"));
  }

  #take(buffer) {
    if (!this.isOn) return;
    if (!this.#connection.isOpen) {
      this.#isTold = false; // whoever answers next does not know
    } else {
      if (!this.#isTold) this.#isTold = this.#connection.send({ type: "microphone", is_on: true });
      this.#connection.sendSound(buffer);
    }
    this.dispatchEvent(new CustomEvent("level", { detail: levelOf(new Int16Array(buffer)) }));
  }

  #lose() {
    if (!this.isOn) return;
    this.stop({ isTurnOver: true });
    const detail = "the microphone went away: was it unplugged, or taken back?";
    this.dispatchEvent(new CustomEvent("lost", { detail }));
  }
}

function refuseWhereItCannotBe() {
  if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) {
    throw new Error(
      "browsers give a microphone to https pages and to this machine only: " +
        "open the page as http://localhost or http://127.0.0.1",
    );
  }
  if (document.featurePolicy?.allowsFeature("microphone") === false) {
    throw new Error("the frame around this page does not allow the microphone: open the page in a tab of its own");
  }
}

function inWords(error) {
  const words = {
    NotAllowedError: "the microphone was not allowed: allow it beside the address of this page, and try again",
    SecurityError: "the microphone is forbidden on this page: open it in a tab of its own",
    NotFoundError: "there is no microphone: plug one in, or type instead",
    NotReadableError: "the microphone cannot be read: is another program using it?",
    AbortError: "the microphone did not start: try again, or type instead",
  };
  return words[error.name] ?? `the microphone does not work here: ${error.message}`;
}

function release({ stream, context }) {
  for (const track of stream?.getTracks() ?? []) {
    track.onended = null;
    track.stop();
  }
  context?.close();
}

function levelOf(pcm) {
  const power = pcm.reduce((sum, sample) => sum + sample * sample, 0) / pcm.length;
  const decibels = 10 * Math.log10(power / 32768 ** 2 + 1e-12);
  return Math.min(Math.max(1 - decibels / QUIETEST_DB, 0), 1);
}
