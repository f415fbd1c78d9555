// Runs beside the microphone, on the thread of the sound: 16 kHz int16 out of whatever comes in.

import { Resampler } from "./resampler.js";

const RATE = 16000;
const BUFFER = 512; // samples: 32 ms, as much as the detector looks at at once

class MicrophoneProcessor extends AudioWorkletProcessor {
  #resampler = new Resampler(sampleRate, RATE);
  #pcm = new Int16Array(BUFFER);
  #filled = 0;

  process([[channel]]) {
    if (channel !== undefined) for (const sample of this.#resampler.push(channel)) this.#add(sample);
    return true;
  }

  #add(sample) {
    this.#pcm[this.#filled] = Math.max(-1, Math.min(sample, 1)) * 32767;
    this.#filled += 1;
    if (this.#filled < BUFFER) return;
    this.port.postMessage(this.#pcm.buffer, [this.#pcm.buffer]);
    this.#pcm = new Int16Array(BUFFER);
    this.#filled = 0;
  }
}

registerProcessor("llmws-microphone", MicrophoneProcessor);
