// What the page knows. Panels read it and are told what has changed, by the type of the event.
//
// An event of the dashboard is applied first and handed on then. Beside those there are
//   shown         another call is shown: the live one, or one that was opened from the history
//   connected     the dashboard is there (after hello)
//   disconnected  it is not, and is tried again
//   locked        the token is wrong
//   step          another step of the lessons is chosen for the checks

export class Store extends EventTarget {
  hello = null; // what the dashboard said of itself
  url = ""; // the server to call, as typed
  voice = { kind: "captions", no_kit: "", no_ears: "" };
  live = null; // the call that goes on, or went on last
  opened = null; // a call from the history, if one is being looked at
  history = [];
  check = null; // the run of checks: its status
  findings = new Map();
  step = ""; // of the lessons, that the server is at; empty: it is held to all of them
  serverLines = [];
  isSounding = false;
  isConnected = false;

  /** The call that the panels show: {call_id, url, title, started_ms, frames, items, log, status}. */
  get shown() {
    return this.opened ?? this.live;
  }

  /** Whether what is shown is the live call, so that one can talk in it. */
  get isLive() {
    return this.opened === null;
  }

  /** Whether a call goes on. */
  get isCalling() {
    return this.live !== null && !this.live.status.is_over;
  }

  /** The findings that are to be mended now: not of later steps, and none where no server was. */
  get failed() {
    const isOf = ({ verdict, step }) => verdict === "failed" && (this.step === "" || step <= this.step);
    return this.check?.absence ? [] : [...this.findings.values()].filter(isOf);
  }

  /** Be told about events of a type; a panel that is removed stops with its signal. */
  on(type, listener, signal) {
    this.addEventListener(type, ({ detail }) => listener(detail), { signal });
  }

  /** Take one event. */
  apply(event) {
    this.#TAKE[event.type]?.(event);
    this.dispatchEvent(new CustomEvent(event.type, { detail: event }));
  }

  /** Look at the live call again. */
  showLive() {
    this.opened = null;
    this.apply({ type: "shown" });
  }

  /** Findings stay beside those of a new run, as long as they are about the same. */
  #forgetFindings({ url, profile, wanted }) {
    if (this.check?.url !== url || this.check.profile !== profile) this.findings.clear();
    for (const id of wanted) this.findings.delete(id);
  }

  #forgetLive() {
    if (this.live === null) return;
    this.live = null;
    queueMicrotask(() => this.apply({ type: "shown" }));
  }

  #ofLive = (change) => (event) => {
    if (this.live?.call_id === event.call_id) change(this.live, event);
  };

  #TAKE = {
    hello: (event) => {
      this.isConnected = true;
      if (this.hello !== null && this.hello.url !== event.url) this.url = event.url; // pointed elsewhere
      this.hello = event;
      this.voice = event.voice;
      this.url ||= event.url;
      this.serverLines = [];
      this.check = null;
      this.findings.clear();
      this.#forgetLive(); // after a restart there is none, else it comes next
      queueMicrotask(() => this.apply({ type: "connected" }));
    },
    disconnected: () => (this.isConnected = false),
    call: (event) => {
      this.live = event;
      this.opened = null;
      queueMicrotask(() => this.apply({ type: "shown" }));
    },
    opened: (event) => {
      this.opened = event;
      queueMicrotask(() => this.apply({ type: "shown" }));
    },
    frame: this.#ofLive((call, event) => call.frames.push(event)),
    item: this.#ofLive((call, event) => (call.items[event.place] = event)),
    line: this.#ofLive((call, event) => call.log.push(event)),
    status: this.#ofLive((call, event) => (call.status = event)),
    voice: (event) => (this.voice = event),
    sounding: (event) => (this.isSounding = event.here),
    history: (event) => (this.history = event.calls),
    server_line: (event) => this.serverLines.push(event),
    check: (event) => {
      if (!event.is_over) this.#forgetFindings(event);
      this.check = event;
    },
    finding: (event) => this.findings.set(event.id, event),
  };
}
