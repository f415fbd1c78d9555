// The checks against the server of the call bar: run, followed finding by finding, sorted by verdict.

import { connection, store } from "../app.js";
import { button, fill, h, setText } from "../dom.js";
import { recall, remember } from "../memory.js";
import { findingItem } from "./finding.js";

const STEP = "llmws step";
const ALL = "all";
const GUIDE = "04"; // the last step of the guide
const GROUPS = [
  { id: "failed", name: "Failed", tone: "bad", isOpen: true, about: "worst first: mend these" },
  { id: "not strict", name: "Not strict", tone: "warn", isOpen: true, about: "it works, and could be better" },
  { id: "not seen", name: "Not seen", tone: "", isOpen: true, about: "never came up, or the check lacks something" },
  { id: "later", name: "Not yet", tone: "", isOpen: false, about: "of later steps: nothing to mend so far" },
  { id: "ok", name: "Ok", tone: "good", isOpen: false, about: "as it must be" },
];
const MEND = "Start it, or mend the URL in the call bar, and run the checks again.";
const SEVERITIES = ["breaks the call", "hurts the call", "could be better"];

class Conformance extends HTMLElement {
  #gone = null;
  #parts = {};
  #groups = new Map(); // by id: {box, list, count}
  #items = new Map(); // of the findings, by the check's id
  #chosen = recall(STEP);
  #order = new Map(); // place of a check in the catalogue, by its id
  #again = null; // the check that is run again from its finding

  connectedCallback() {
    this.#gone = new AbortController();
    const { signal } = this.#gone;
    this.#build();
    store.on("connected", () => this.#welcome(), signal);
    store.on("disconnected", () => this.#showStatus(), signal);
    store.on("check", () => this.#showRun(), signal);
    store.on("finding", (finding) => this.#add(finding), signal);
  }

  disconnectedCallback() {
    this.#gone.abort();
  }

  #build() {
    const parts = this.#parts;
    parts.which = h("select", { class: "field", id: "checks-which" });
    parts.profile = h(
      "select",
      { class: "field", id: "checks-profile" },
      h("option", { value: "current" }, "current: the platform today"),
      h("option", { value: "guide-2024" }, "guide-2024: the original guide"),
    );
    parts.step = h("select", { class: "field", id: "checks-step", onchange: () => this.#chooseStep() });
    parts.run = button("Run the checks", () => this.#run(), { class: "button primary" });
    parts.stop = button("Stop", () => this.#stop(), { hidden: true });
    parts.progress = h("progress", {
      class: "progress",
      max: 1,
      value: 0,
      "aria-label": "Checks that are done",
      hidden: true,
    });
    parts.count = h("span", { class: "muted" });
    parts.says = h("p", { role: "status" });
    parts.hint = h("p", { class: "notice warn", hidden: true });
    parts.absence = h("div", { class: "notice bad", role: "alert", hidden: true });
    parts.empty = h("p", { class: "empty" });
    this.replaceChildren(
      h("h2", {}, "Conformance"),
      h(
        "div",
        { class: "toolbar" },
        choice("Checks", parts.which),
        choice("Profile", parts.profile),
        choice("Your server is at", parts.step),
      ),
      h("div", { class: "toolbar" }, parts.run, parts.stop, parts.progress, parts.count),
      parts.says,
      parts.absence,
      parts.hint,
      parts.empty,
      ...GROUPS.map((group) => this.#group(group)),
    );
  }

  #group({ id, name, tone, isOpen, about }) {
    const count = h("span", { class: `badge ${tone}` });
    const list = h("ul", { class: "findings", role: "list" });
    const title = h("h3", {}, name);
    const box = h(
      "details",
      { class: "group", open: isOpen, hidden: true },
      h("summary", {}, title, count, h("span", { class: "muted" }, about)),
      list,
    );
    this.#groups.set(id, { box, list, count });
    return box;
  }

  #welcome() {
    const { checks } = store.hello;
    this.#order = new Map(checks.map(({ id }, place) => [id, place]));
    const { which, step } = this.#parts;
    fillChecks(which, checks);
    const steps = [...new Set(checks.map((check) => check.step))].sort();
    fill(
      step,
      h("option", { value: ALL }, "no step: hold it to all"),
      [...new Set([...steps, GUIDE])].sort().map((one) => h("option", { value: one }, `step ${one} of the lessons`)),
    );
    this.#proposeStep();
    this.#showRun();
  }

  /** What nobody has chosen: a server that runs here is one of the lessons, any other is held to all. */
  #proposeStep() {
    const isOfLessons = store.hello.runs_here && store.url === store.hello.url;
    this.#parts.step.value = this.#chosen ?? (isOfLessons ? GUIDE : ALL);
    this.#takeStep();
  }

  #run(prefix = this.#parts.which.value) {
    this.#proposeStep(); // the server may be another one by now
    const prefixes = prefix ? [prefix] : [];
    connection.send({ type: "check", url: store.url, prefixes, profile: this.#parts.profile.value });
  }

  /** Run the check of a finding; what comes then is open, and has the focus that the old one had. */
  #runAgain(id) {
    this.#again = id;
    this.#parts.run.focus();
    this.#run(id);
  }

  #comeBack({ id }) {
    if (id !== this.#again) return;
    this.#again = null;
    const finding = this.#items.get(id).querySelector("details");
    finding.open = finding.closest(".group").open = true;
    if (document.activeElement === this.#parts.run) finding.querySelector("summary").focus();
  }

  #stop() {
    this.#parts.run.focus();
    this.#parts.stop.disabled = true;
    connection.send({ type: "stop_check" });
  }

  #chooseStep() {
    this.#chosen = this.#parts.step.value;
    remember(STEP, this.#chosen);
    this.#takeStep();
    for (const finding of store.findings.values()) this.#place(finding);
    this.#showStatus();
    this.#showCounts();
  }

  #takeStep() {
    const { value } = this.#parts.step;
    store.step = value === ALL ? "" : value;
    store.apply({ type: "step" });
  }

  /** A run began, or is over: show what the store has of it. */
  #showRun() {
    for (const [id, item] of this.#items) {
      if (store.findings.has(id)) continue;
      item.remove();
      this.#items.delete(id);
    }
    for (const finding of store.findings.values()) this.#put(finding);
    this.#showStatus();
    this.#showCounts();
  }

  #add(finding) {
    this.#put(finding);
    this.#showCounts();
    this.#comeBack(finding);
  }

  #put(finding) {
    const before = this.#items.get(finding.id);
    if (before?.finding === finding) return; // perhaps it is open
    before?.remove();
    const item = findingItem(finding, (id) => this.#runAgain(id));
    item.finding = finding;
    this.#items.set(finding.id, item);
    this.#place(finding);
  }

  /** Put the item of a finding into its group, at its place there. */
  #place(finding) {
    const item = this.#items.get(finding.id);
    item.dataset.rank = this.#rank(finding);
    const { list } = this.#groups.get(this.#groupOf(finding));
    const next = [...list.children].find((other) => other !== item && other.dataset.rank > item.dataset.rank);
    list.insertBefore(item, next ?? null);
  }

  #groupOf({ verdict, step }) {
    return verdict !== "ok" && store.step !== "" && step > store.step ? "later" : verdict;
  }

  /** What orders the findings of a group: later ones by step, failed ones by cost, then by the catalogue. */
  #rank(finding) {
    const group = this.#groupOf(finding);
    const first = { later: finding.step, failed: SEVERITIES.indexOf(finding.severity) }[group] ?? 0;
    return `${first} ${String(this.#order.get(finding.id) ?? 0).padStart(4, "0")}`;
  }

  #showCounts() {
    const isAbsent = Boolean(store.check?.absence);
    for (const { box, list, count } of this.#groups.values()) {
      box.hidden = isAbsent || list.children.length === 0;
      count.textContent = list.children.length;
    }
    const { progress, count } = this.#parts;
    const wanted = store.check?.wanted ?? [];
    const done = wanted.filter((id) => store.findings.has(id)).length;
    progress.max = wanted.length || 1;
    progress.value = done;
    count.textContent = store.check && !isAbsent ? `${done} of ${wanted.length}` : "";
  }

  #showStatus() {
    const { run, stop, progress, says, absence, hint, empty } = this.#parts;
    const check = store.check;
    const isRunning = check !== null && !check.is_over && store.isConnected;
    run.textContent = isRunning ? "Begin again" : "Run the checks";
    run.disabled = !store.isConnected;
    if (!isRunning && document.activeElement === stop) run.focus();
    stop.hidden = !isRunning;
    stop.disabled = false;
    progress.hidden = !isRunning;
    empty.hidden = check !== null;
    empty.textContent =
      "Run the checks: each calls the server of the call bar on a connection of its own, plays one situation, " +
      "and says what was required, what came, and how to mend it. All of them take less than a minute, with a server that answers.";
    const later = [...store.findings.values()].filter((finding) => this.#groupOf(finding) === "later").length;
    setText(says, saysOf(check, isRunning, later));
    absence.hidden = !check?.absence;
    setText(absence, check?.absence ? `The server is not there: ${check.absence}. ${MEND}` : "");
    hint.hidden = !check?.hint;
    hint.textContent = check?.hint ?? "";
  }
}

function saysOf(check, isRunning, later) {
  if (check === null) return "";
  const whom = `${check.url}, profile ${check.profile}`;
  if (isRunning) return `Checking ${whom}.`;
  if (check.absence) return `No check could be tried at ${whom}.`;
  const rest = later > 0 ? ` Of those that are not ok, ${later} belong to later steps: nothing to mend so far.` : "";
  return `${check.summary}.${rest} Checked ${whom}.`;
}

function choice(label, select) {
  return h("div", { class: "choice" }, h("label", { for: select.id, class: "muted" }, label), select);
}

function fillChecks(select, checks) {
  const chosen = select.value;
  const topics = new Map();
  for (const { topic } of checks) topics.set(topic, (topics.get(topic) ?? 0) + 1);
  fill(
    select,
    h("option", { value: "" }, `all ${checks.length}`),
    h(
      "optgroup",
      { label: "A topic" },
      [...topics].map(([topic, many]) => h("option", { value: topic }, `${topic} (${many})`)),
    ),
    h(
      "optgroup",
      { label: "One check" },
      checks.map(({ id, title }) => h("option", { value: id }, `${id}: ${title}`)),
    ),
  );
  select.value = chosen;
}

customElements.define("llmws-conformance", Conformance);
