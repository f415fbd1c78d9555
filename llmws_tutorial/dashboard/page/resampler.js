// Changes how many samples a second a sound has; what the new rate cannot hold is filtered out.

const CROSSINGS = 16; // of zero, on each side of the filter
const CUTOFF = 0.45; // of the lower of both rates: a little below the half that it can hold

/** A windowed sinc, laid out for each position that an output sample can have between two inputs. */
export class Resampler {
  #step; // from one output sample to the next, in 1/#phases of an input sample
  #phases;
  #half; // how many input samples the filter reaches to each side
  #filters;
  #input; // what the next output sample still needs
  #at; // where that one is in #input, in 1/#phases of a sample

  /**
   * @param {number} from - samples a second that come in.
   * @param {number} to - samples a second that go out.
   */
  constructor(from, to) {
    const common = greatestCommonDivisor(from, to);
    this.#phases = to / common;
    this.#step = from / common;
    const cutoff = (CUTOFF * Math.min(from, to)) / from; // in cycles for each input sample
    this.#half = Math.ceil(CROSSINGS / (2 * cutoff));
    this.#filters = Array.from({ length: this.#phases }, (_, phase) =>
      makeFilter(this.#half, cutoff, phase / this.#phases),
    );
    this.#input = new Float32Array(this.#half); // silence came before
    this.#at = this.#half * this.#phases;
  }

  /** Take samples, and give those that are complete by now. */
  push(samples) {
    const input = new Float32Array(this.#input.length + samples.length);
    input.set(this.#input);
    input.set(samples, this.#input.length);
    const output = [];
    let at = this.#at;
    for (; Math.floor(at / this.#phases) + this.#half < input.length; at += this.#step) {
      const first = Math.floor(at / this.#phases) - this.#half + 1;
      const filter = this.#filters[at % this.#phases];
      let sum = 0;
      for (let tap = 0; tap < filter.length; tap += 1) sum += filter[tap] * input[first + tap];
      output.push(sum);
    }
    const done = Math.max(Math.floor(at / this.#phases) - this.#half + 1, 0);
    this.#input = input.slice(done);
    this.#at = at - done * this.#phases;
    return Float32Array.from(output);
  }
}

/** The weights of the 2·half inputs around an output that is `shift` after one of them. */
function makeFilter(half, cutoff, shift) {
  const filter = Float32Array.from({ length: 2 * half }, (_, tap) => {
    const distance = tap - half + 1 - shift; // from the output, in input samples
    const angle = 2 * Math.PI * cutoff * distance;
    const window = 0.5 + 0.5 * Math.cos((Math.PI * distance) / half);
    return 2 * cutoff * (angle === 0 ? 1 : Math.sin(angle) / angle) * window;
  });
  const sum = filter.reduce((total, weight) => total + weight, 0);
  return filter.map((weight) => weight / sum);
}

function greatestCommonDivisor(a, b) {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
