// Joins the parts: what the dashboard tells feeds the store and the voice; panels import both.

import { Connection } from "./connection.js";
import { Microphone } from "./mic.js";
import { Player } from "./sound.js";
import { Store } from "./store.js";

/** What the page knows. */
export const store = new Store();

/** The way to the dashboard. */
export const connection = new Connection(
  (event) => {
    player.take(event);
    store.apply(event);
  },
  (piece, pcm) => player.add(piece, pcm),
);

/** The agent's voice. */
export const player = new Player((command) => connection.send(command));

/** The caller's voice. */
export const microphone = new Microphone(connection);

// The address keeps no fragment: there a reload would look for the token.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.querySelector("#conversation").focus();
});

// Any click or key lets the sound out, also that of a call which goes on after a reload.
for (const type of ["pointerdown", "keydown"]) document.addEventListener(type, () => player.unlock());

// By then all panels are there: not one of them misses an event.
document.addEventListener("DOMContentLoaded", () => connection.open());
