// The clock of a call: frames say what time it is in the call, and between them it goes on.

export class Clock {
  #seconds;
  #setAt = performance.now();
  #isStopped = false;

  /**
   * @param {string} of - the id of the call.
   * @param {number} seconds - what time it is in the call, as far as known.
   */
  constructor(of = "", seconds = 0) {
    this.of = of;
    this.#seconds = seconds;
  }

  /** A frame came at this second of the call. */
  set(seconds) {
    this.#seconds = seconds;
    this.#setAt = performance.now();
  }

  /** The call is over: time stands still. */
  stop() {
    if (this.#isStopped) return;
    this.#seconds = this.seconds;
    this.#isStopped = true;
  }

  get seconds() {
    return this.#isStopped ? this.#seconds : this.#seconds + (performance.now() - this.#setAt) / 1000;
  }

  /** As people read it: "1:05". */
  get text() {
    const whole = Math.floor(this.seconds);
    return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
  }
}
