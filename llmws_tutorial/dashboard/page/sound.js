// The agent's voice on this page: plays the pieces of a turn when the call says so.
//
// Three ways to speak, by the piece's `voice`:
//   kit       its sound came with it, and is played
//   browser   the browser's own voice speaks its text, and what it has begun is reported
//   captions  nobody speaks: two quiet notes say that there is something to read

import { BrowserVoice } from "./browser-voice.js";

const RATE = 24000; // of the sound of a piece
const FADE_S = 0.015; // a sound that is cut at once clicks
const NOTES = [660, 880]; // Hz
const NOTE_S = 0.075;
const NOTE_VOLUME = 0.05;
const PATIENCE_MS = 500; // until sound that does not start counts as blocked

/**
 * Plays what the dashboard tells. Its events:
 *   blocked  whether the browser lets it sound has changed: see `isBlocked`
 *   kinds    the ways to speak have changed: see `kinds`
 */
export class Player extends EventTarget {
  #context = null;
  #pieces = new Map(); // by number: {text, starts, voice, buffer}
  #current = null; // the piece that is to be heard: {number, piece, beganS, fromWord}
  #source = null; // what plays it: {node, gain}
  #isBlocked = false;
  #voice;

  /** @param {(command: object) => void} send - sends a command to the dashboard. */
  constructor(send) {
    super();
    this.#voice = new BrowserVoice((piece, words) => send({ type: "spoken", piece, words }));
    this.#voice.addEventListener("voices", () => this.dispatchEvent(new Event("kinds")));
    this.#voice.addEventListener("refused", () => this.#setBlocked(true));
    window.addEventListener("pagehide", () => this.#hush());
  }

  /** What this browser can do: {browser: whether it has a voice of its own}. */
  get kinds() {
    return { browser: this.#voice.isThere };
  }

  /** Whether the browser holds the sound back until somebody clicks. */
  get isBlocked() {
    return this.#isBlocked;
  }

  /** Let it sound from now on; has to be called in a gesture of the user. */
  unlock() {
    this.#prepare();
    if (this.#context.state !== "running") this.#context.resume().catch(() => {}); // onstatechange tells
    if (this.#isBlocked && this.#current?.piece.voice === "browser") this.#start();
  }

  /** Take an event of the dashboard; those that are not about sound are none of its business. */
  take(event) {
    if (event.type === "piece") this.#keep(event);
    else if (event.type === "speak") this.#speak(event);
    else if (event.type === "hush") this.#hush();
    else if (event.type === "sounding" && !event.here) this.#hush();
    else if (event.type === "disconnected") this.#hush(); // it is told again when it is back
  }

  /** Take the sound of a piece. */
  add(number, pcm) {
    const piece = this.#pieces.get(number);
    if (piece === undefined || pcm.length === 0) return;
    this.#prepare();
    const buffer = this.#context.createBuffer(1, pcm.length, RATE);
    buffer.copyToChannel(Float32Array.from(pcm, (sample) => sample / 32768), 0);
    piece.buffer = buffer;
  }

  #keep({ piece, text, starts, voice }) {
    this.#pieces.set(piece, { text, starts, voice, buffer: null });
  }

  #speak({ piece: number, offset_s, from_word }) {
    const piece = this.#pieces.get(number);
    if (piece === undefined) return;
    for (const before of this.#pieces.keys()) {
      if (before < number) this.#pieces.delete(before);
    }
    this.#current = { number, piece, beganS: performance.now() / 1000 - offset_s, fromWord: from_word };
    this.#start();
  }

  /** Let the current piece be heard, from where the call is by now. */
  #start() {
    const { number, piece, beganS, fromWord } = this.#current;
    if (piece.voice === "browser") {
      this.#voice.speak(number, piece, fromWord);
      return;
    }
    this.#prepare();
    if (this.#context.state !== "running") {
      this.#context.resume().catch(() => {});
      setTimeout(() => this.#setBlocked(this.#context.state !== "running"), PATIENCE_MS);
      return; // it starts when the state changes
    }
    const offsetS = performance.now() / 1000 - beganS;
    if (piece.buffer !== null) this.#play(piece.buffer, offsetS);
    else if (offsetS < 1) this.#ring();
  }

  #play(buffer, offsetS) {
    if (offsetS >= buffer.duration) return;
    const node = new AudioBufferSourceNode(this.#context, { buffer });
    const gain = new GainNode(this.#context);
    node.connect(gain).connect(this.#context.destination);
    node.start(this.#context.currentTime + Math.max(-offsetS, 0), Math.max(offsetS, 0));
    performance.mark("sound of the agent");
    const source = { node, gain };
    this.#source = source;
    node.onended = () => {
      gain.disconnect();
      if (this.#source === source) this.#source = null;
    };
  }

  /** Two quiet notes. */
  #ring() {
    const gain = new GainNode(this.#context, { gain: 0 });
    gain.connect(this.#context.destination);
    const now = this.#context.currentTime;
    const overS = NOTES.length * NOTE_S;
    NOTES.forEach((frequency, number) => {
      const node = new OscillatorNode(this.#context, { frequency });
      node.connect(gain);
      node.start(now + number * NOTE_S);
      node.stop(now + (number + 1) * NOTE_S);
      if (number === NOTES.length - 1) node.onended = () => gain.disconnect();
    });
    gain.gain.setValueAtTime(0, now);
    gain.gain.linearRampToValueAtTime(NOTE_VOLUME, now + FADE_S);
    gain.gain.setValueAtTime(NOTE_VOLUME, now + overS - FADE_S);
    gain.gain.linearRampToValueAtTime(0, now + overS);
    performance.mark("sound of the agent");
  }

  #hush() {
    this.#pieces.clear();
    this.#current = null;
    this.#voice.hush();
    if (this.#source === null) return;
    const { node, gain } = this.#source;
    const now = this.#context.currentTime;
    gain.gain.setTargetAtTime(0, now, FADE_S / 6); // from where it is: `now` is over when it is heard
    node.stop(now + FADE_S);
    this.#source = null;
  }

  #prepare() {
    if (this.#context !== null) return;
    this.#context = new AudioContext({ latencyHint: "interactive" });
    this.#context.onstatechange = () => {
      if (this.#context.state !== "running") return;
      this.#setBlocked(false);
      const isWaiting = this.#current !== null && this.#current.piece.voice !== "browser";
      if (isWaiting && this.#source === null) this.#start();
    };
  }

  #setBlocked(isBlocked) {
    if (this.#isBlocked === isBlocked) return;
    this.#isBlocked = isBlocked;
    this.dispatchEvent(new Event("blocked"));
  }
}
