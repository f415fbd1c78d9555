// The socket to the dashboard: commands out, events and sound in; comes back when it is lost.

const FORBIDDEN = 4403;
const FIRST_PAUSE_MS = 300;
const LONGEST_PAUSE_MS = 5000;

export class Connection {
  #socket = null;
  #pauseMs = FIRST_PAUSE_MS;
  #token;
  #asked = new Map(); // the latest command of each type

  /**
   * @param {(event: object) => void} onEvent - takes each event of the dashboard, in order.
   * @param {(piece: number, pcm: Int16Array) => void} onSound - takes the sound of a piece.
   */
  constructor(onEvent, onSound) {
    this.onEvent = onEvent;
    this.onSound = onSound;
    this.#token = takeToken();
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** The token, for what is fetched. */
  get token() {
    return this.#token;
  }

  open() {
    const url = new URL("socket", document.baseURI);
    url.protocol = url.protocol.replace("http", "ws");
    url.hash = "";
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket.send(JSON.stringify({ type: "hello", token: this.#token }));
    socket.onmessage = ({ data }) => this.#take(data);
    socket.onclose = ({ code }) => this.#lost(code);
    this.#socket = socket;
  }

  /** Ask for something; false when the dashboard is not there. */
  send(command) {
    if (!this.isOpen) return false;
    this.#asked.set(command.type, command);
    this.#socket.send(JSON.stringify(command));
    return true;
  }

  /** Ask again for what was asked last of a type: its user has agreed. */
  confirm(type) {
    return this.send({ ...this.#asked.get(type), confirmed: true });
  }

  /** Send sound of the microphone. */
  sendSound(buffer) {
    if (this.isOpen) this.#socket.send(buffer);
  }

  #take(data) {
    this.#pauseMs = FIRST_PAUSE_MS;
    if (typeof data === "string") {
      for (const event of JSON.parse(data)) this.onEvent(event);
    } else {
      this.onSound(new DataView(data).getUint32(0, true), new Int16Array(data, 4));
    }
  }

  #lost(code) {
    if (code === FORBIDDEN) {
      this.onEvent({ type: "locked" });
      return;
    }
    this.onEvent({ type: "disconnected" });
    setTimeout(() => this.open(), this.#pauseMs);
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
  }
}

/** Take the token out of the address, or remember the one of this page's last visit. */
function takeToken() {
  const key = `llmws token ${location.pathname}`;
  const given = location.hash.slice(1);
  if (given) {
    history.replaceState(null, "", location.pathname + location.search);
    keep(key, given);
    return given;
  }
  try {
    return localStorage.getItem(key) ?? "";
  } catch {
    return ""; // storage is off: the address has to be opened anew
  }
}

function keep(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // storage is off: a reload will ask for the address again
  }
}
