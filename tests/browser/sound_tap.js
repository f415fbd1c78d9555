// Keeps what a page plays: whatever goes to the loudspeaker also goes into `soundTap.blocks`.
// Runs before the page's own scripts, which know nothing of it.

(() => {
  const connect = AudioNode.prototype.connect;
  const taps = new WeakMap();
  window.soundTap = { rate: 0, blocks: [] };

  AudioNode.prototype.connect = function (target, ...rest) {
    if (target instanceof AudioDestinationNode) connect.call(this, tapOf(target.context));
    return connect.call(this, target, ...rest);
  };

  function tapOf(context) {
    if (!taps.has(context)) taps.set(context, makeTap(context));
    return taps.get(context);
  }

  function makeTap(context) {
    const tap = new GainNode(context);
    join(context, tap);
    return tap;
  }

  async function join(context, tap) {
    await context.audioWorklet.addModule(new URL("sound_tap_worklet.js", document.baseURI));
    const worklet = new AudioWorkletNode(context, "sound-tap", { numberOfOutputs: 0 });
    let startMs = null; // when the context's clock was 0, in milliseconds since 1970
    context.addEventListener("statechange", () => (startMs = null)); // the clock stood still
    worklet.port.onmessage = ({ data: { at, samples } }) => {
      startMs ??= startOf(context);
      window.soundTap.rate = context.sampleRate;
      window.soundTap.blocks.push({ atMs: startMs + at * 1000, samples });
    };
    connect.call(tap, worklet);
  }

  /** What is rendered now sounds a little later: the clock is that of the loudspeaker. */
  function startOf(context) {
    const { contextTime, performanceTime } = context.getOutputTimestamp();
    if (performanceTime > 0) return performance.timeOrigin + performanceTime - contextTime * 1000;
    return performance.timeOrigin + performance.now() - context.currentTime * 1000;
  }

  window.soundTap.take = () => {
    const { rate, blocks } = window.soundTap;
    const told = blocks.map(({ atMs, samples }) => [atMs, base64(new Uint8Array(samples.buffer))]);
    return { rate, blocks: told };
  };

  function base64(bytes) {
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  }
})();
