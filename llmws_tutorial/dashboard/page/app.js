// Joins the parts: the connection feeds the store, panels show it, and what people do is sent.

import { Connection } from "./connection.js";
import { Store } from "./store.js";

export const store = new Store();
export const connection = new Connection(
  (event) => store.apply(event),
  () => {},
);

connection.open();
