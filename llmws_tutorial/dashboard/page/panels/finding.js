// One finding of the checks: a line, and below it everything that it takes to mend the server.

import { copyButton } from "../copy.js";
import { button, h } from "../dom.js";

const TONES = { failed: "bad", "not strict": "warn", "not seen": "", ok: "good" };

/**
 * Make the item of a finding; its body is made when it is opened first.
 *
 * @param {object} finding - the event of the dashboard.
 * @param {(id: string) => void} runAgain - runs its check again.
 */
export function findingItem(finding, runAgain) {
  const body = h("div", { class: "finding-body" });
  const item = h(
    "details",
    {
      class: "finding",
      ontoggle: () => item.open && !body.hasChildNodes() && body.append(...bodyOf(finding, runAgain)),
    },
    h(
      "summary",
      {},
      h("code", { class: "finding-id" }, finding.id),
      h("span", { class: "finding-title" }, finding.title),
      h("span", { class: `badge ${TONES[finding.verdict]}` }, verdict(finding)),
      h("span", { class: "muted finding-step" }, `step ${finding.step}`),
    ),
    body,
  );
  return h("li", {}, item);
}

function verdict({ verdict, severity }) {
  return verdict === "failed" ? `failed: ${severity}` : verdict;
}

function bodyOf(finding, runAgain) {
  return [
    h("dl", { class: "facts" }, facts(finding)),
    exchange(finding),
    command("The same at a terminal", finding.repeat),
    command("An example of a server that does it, and of one that does not", finding.example),
    h(
      "div",
      { class: "toolbar" },
      button("Run this check again", () => runAgain(finding.id), { "aria-label": `Run this check again: ${finding.id}` }),
    ),
  ].filter((part) => part !== null);
}

function facts({ requirement, expected, got, why, look, fix, source, grade }) {
  const rows = [
    ["Required", requirement],
    ["Expected", expected],
    ["Got", got],
    ["Why it matters", why],
    ["Look", look],
    ["Fix", fix],
    ["Source", `${source}: ${grade}`],
  ];
  return rows
    .filter(([, text]) => text)
    .flatMap(([label, text]) => [h("dt", {}, label), h("dd", { dir: "auto" }, text)]);
}

function exchange({ exchange: events, id }) {
  if (!events?.length) return null;
  const lines = events.map(([isIt, text]) =>
    h(
      "li",
      { class: isIt ? "is-it" : null, "aria-current": isIt ? "true" : null },
      isIt ? h("strong", { class: "marker" }, "this one ") : null,
      text,
    ),
  );
  const label = `What was on the wire in ${id}`;
  return h(
    "figure",
    { class: "exchange" },
    h("figcaption", {}, "What was on the wire: -> to the server, <- from it"),
    h("ol", { class: "mono scroll", role: "list", tabindex: "0", "aria-label": label }, lines),
  );
}

function command(what, text) {
  if (!text) return null;
  return h(
    "div",
    { class: "command" },
    h("span", { class: "muted" }, what),
    h("code", {}, text),
    copyButton("Copy", () => text, { "aria-label": `Copy: ${text}` }),
  );
}
