// The part of the sound tap that runs beside the sound: hands on blocks that are not silent.

const BLOCK = 4096; // samples: some 90 ms

registerProcessor(
  "sound-tap",
  class extends AudioWorkletProcessor {
    #samples = new Float32Array(BLOCK);
    #at = 0;
    #filled = 0;

    process([[channel]]) {
      if (this.#filled === 0) this.#at = currentTime;
      if (channel) this.#samples.set(channel, this.#filled);
      else this.#samples.fill(0, this.#filled, this.#filled + 128);
      this.#filled += 128;
      if (this.#filled === BLOCK) {
        if (this.#samples.some((sample) => sample !== 0)) {
          this.port.postMessage({ at: this.#at, samples: this.#samples.slice() });
        }
        this.#filled = 0;
      }
      return true;
    }
  },
);
