// The tabs: one panel at a time, by click, by arrow keys, or because another panel asks for it.

import { store } from "../app.js";
import { h, size } from "../dom.js";
import { recall, remember } from "../memory.js";
import { beforeNextPicture } from "../redraw.js";

const KEY = "llmws tab";
const STEPS = { ArrowRight: 1, ArrowLeft: -1 };

class Tabs extends HTMLElement {
  #tabs = new Map(); // by the panel's name in lower case
  #countSoon = beforeNextPicture(() => this.#count());

  connectedCallback() {
    const list = h("div", { role: "tablist", "aria-label": "Panels", onkeydown: (event) => this.#move(event) });
    for (const panel of [...this.children]) list.append(this.#tab(panel));
    this.prepend(list);
    const last = recall(KEY);
    this.#select("wire");
    this.#select(last);
    document.addEventListener("llmws-show", ({ detail }) => this.#select(detail.panel));
    for (const type of ["shown", "frame", "check", "finding", "step"]) store.on(type, this.#countSoon);
  }

  #tab(panel) {
    const name = panel.dataset.name;
    const id = name.toLowerCase();
    panel.id = id;
    panel.setAttribute("role", "tabpanel");
    panel.tabIndex = -1; // where the focus goes when what had it is gone
    panel.setAttribute("aria-labelledby", `tab-${id}`);
    const count = h("span", { class: "badge", hidden: true, "aria-hidden": "true" });
    const tab = h(
      "button",
      { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": id, onclick: () => this.#select(id) },
      name,
      count,
    );
    this.#tabs.set(id, { tab, panel, count });
    return tab;
  }

  #select(id) {
    if (!this.#tabs.has(id)) return;
    const focused = document.activeElement?.closest("[role=tabpanel]");
    for (const [other, { tab, panel }] of this.#tabs) {
      tab.setAttribute("aria-selected", other === id);
      tab.tabIndex = other === id ? 0 : -1;
      panel.hidden = other !== id;
    }
    const { tab } = this.#tabs.get(id);
    if (focused?.hidden) tab.focus(); // a button in it has led here
    else tab.scrollIntoView({ block: "nearest", inline: "nearest" });
    remember(KEY, id);
  }

  #move(event) {
    const ids = [...this.#tabs.keys()];
    const place = ids.findIndex((id) => this.#tabs.get(id).tab === event.target);
    let next = place + (STEPS[event.key] ?? 0);
    if (event.key === "Home") next = 0;
    if (event.key === "End") next = ids.length - 1;
    if (place < 0 || (next === place && !["Home", "End"].includes(event.key))) return;
    event.preventDefault();
    const id = ids.at(next % ids.length);
    this.#select(id);
    this.#tabs.get(id).tab.focus();
  }

  #count() {
    const frames = store.shown?.frames.length ?? 0;
    const failed = store.failed.length;
    this.#put("wire", frames, frames === 1 ? "frame" : "frames");
    this.#put("conformance", failed, "failed");
    this.#tabs.get("conformance").count.classList.toggle("bad", failed > 0);
  }

  #put(id, number, what) {
    const { tab, count } = this.#tabs.get(id);
    count.hidden = number === 0;
    count.textContent = id === "wire" ? size(number) : `${number} ${what}`;
    tab.setAttribute("aria-description", number === 0 ? "" : `${number} ${what}`);
  }
}

customElements.define("llmws-tabs", Tabs);
