// The help: which keys there are, and the switch that turns them off.

import { button, h } from "../dom.js";
import { areKeysOn, KEYS, switchKeys } from "../keys.js";

class Help extends HTMLElement {
  connectedCallback() {
    const dialog = h(
      "dialog",
      { "aria-labelledby": "help-title" },
      h("h2", { id: "help-title" }, "Keys"),
      h("dl", {}, KEYS.flatMap(({ key, shown, does }) => [h("dt", {}, h("kbd", {}, shown ?? key)), h("dd", {}, does)])),
      h(
        "label",
        { class: "switch" },
        h("input", { type: "checkbox", checked: areKeysOn(), onchange: ({ target }) => switchKeys(target.checked) }),
        "These keys are on",
      ),
      h("p", { class: "muted" }, "They rest while you type. Tab, the arrow keys and Enter work in any case."),
      h("div", { class: "toolbar" }, h("span"), button("Close", () => dialog.close())),
    );
    this.append(dialog);
    document.addEventListener("llmws-key", ({ detail }) => detail.key === "help" && dialog.showModal());
  }
}

customElements.define("llmws-help", Help);
