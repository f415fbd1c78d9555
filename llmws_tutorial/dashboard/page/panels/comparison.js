// What two calls look like side by side: the differences in words, then turn by turn.

import { h, ms } from "../dom.js";

/**
 * Tell of two calls.
 *
 * @param {object} compared - the event: {differences: [{where, first, second}], turns: [{first, second}]}.
 * @param {[string, string]} titles - what the first and the second are called.
 * @returns {HTMLElement}
 */
export function comparison({ differences, turns }, [first, second]) {
  return h(
    "div",
    { class: "scroll comparison", tabindex: "0", role: "region", "aria-label": "Two calls compared" },
    h("dl", { class: "comparison-calls" }, h("dt", {}, "First"), text("dd", first), h("dt", {}, "Second"), text("dd", second)),
    h("h4", {}, "What the server did otherwise"),
    differences.length === 0 ? h("p", {}, "Nothing: it meant the same in both calls.") : table(["Where", "First", "Second"], differences.map(difference)),
    h("h4", {}, "Turn by turn"),
    turns.length === 0 ? h("p", { class: "muted" }, "Neither call has turns.") : table(["Turn", "First", "Second"], turns.map(turn)),
  );
}

function table(heads, rows) {
  return h(
    "table",
    { class: "table" },
    h("thead", {}, h("tr", {}, heads.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, rows),
  );
}

function difference({ where, first, second }) {
  return h("tr", {}, h("th", { scope: "row" }, where), text("td", first, "mono"), text("td", second, "mono"));
}

function turn({ first, second }, number) {
  const isSame = first?.sent === second?.sent;
  const change = !first ? "only in the second" : !second ? "only in the first" : "other words";
  const badge = isSame ? null : h("span", { class: "badge warn" }, change);
  return h("tr", {}, h("th", { scope: "row" }, `${number + 1} `, badge), side(first), side(second));
}

function side(one) {
  if (!one) return h("td", { class: "muted" }, "no such turn");
  const name = `${one.kind}${one.id === null ? "" : ` ${one.id}`}`;
  return h(
    "td",
    {},
    one.said ? text("p", `Caller: ${one.said}`, "muted") : null,
    text("p", one.sent || "said nothing"),
    h("p", { class: "muted" }, `${name} · first sentence ${ms(one.first_sentence_ms)}`),
  );
}

function text(name, words, look = null) {
  return h(name, { dir: "auto", class: look }, words);
}
