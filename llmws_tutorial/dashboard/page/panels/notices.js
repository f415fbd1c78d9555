// What people have to know or decide: banners while something holds, troubles, the one question.

import { connection, player, store } from "../app.js";
import { button, fill, h } from "../dom.js";

const MOST_TROUBLES = 3;
const QUESTIONS = { call: "Call it", play: "Play it", check: "Check it" };

class Notices extends HTMLElement {
  #banners = h("div", { role: "status" });
  #troubles = h("div", { role: "alert" });
  #shown = "";

  connectedCallback() {
    this.append(this.#banners, this.#troubles);
    for (const type of ["connected", "disconnected", "locked", "shown", "status", "sounding"]) {
      store.on(type, () => this.#show());
    }
    store.on("locked", () => this.#put("locked"));
    store.on("trouble", ({ text }) => this.#complain(text));
    store.on("call", () => this.#troubles.replaceChildren()); // what a refused one said is past
    store.on("confirm", (event) => this.#ask(event));
    player.addEventListener("blocked", () => this.#show());
  }

  #show() {
    if (this.#shown !== "locked") this.#put(this.#what());
  }

  /** Which banner there is to show: the one that matters most. */
  #what() {
    if (!store.isConnected) return "gone";
    if (!store.isCalling) return "";
    if (!store.isSounding) return "elsewhere";
    return player.isBlocked ? "blocked" : "";
  }

  #put(what) {
    if (what === this.#shown) return;
    this.#shown = what;
    fill(this.#banners, what ? h("div", { class: "banner" }, this.#BANNERS[what]()) : null);
  }

  #BANNERS = {
    gone: () => h("p", {}, "The dashboard does not answer: is ", h("code", {}, "llmws dashboard"), " still running? Trying again."),
    locked: () =>
      h(
        "p",
        {},
        "This address is not of this start of the dashboard. Open the one that ",
        h("code", {}, "llmws dashboard"),
        " printed, with all that follows the #; in a notebook, run the cell again.",
      ),
    elsewhere: () => [
      h("p", {}, "The sound of this call is in another tab."),
      button("Hear it here", () => {
        player.unlock();
        connection.send({ type: "listen_here" });
      }),
    ],
    blocked: () => [
      h("p", {}, "The browser lets no sound out before you click."),
      button("Let it sound", () => player.unlock()),
    ],
  };

  /** Show a trouble until it is dismissed or a call begins; the same one is shown once. */
  #complain(text) {
    const same = [...this.#troubles.children].find((one) => one.firstChild.textContent === text);
    same?.remove();
    const trouble = h(
      "div",
      { class: "banner bad" },
      h("p", {}, text),
      button("Dismiss", () => trouble.remove()),
    );
    this.#troubles.append(trouble);
    while (this.#troubles.childElementCount > MOST_TROUBLES) this.#troubles.firstChild.remove();
  }

  /** A server elsewhere is dialled only when its user has seen where it is. */
  #ask({ url, about }) {
    const agree = () => {
      dialog.close();
      connection.confirm(about);
    };
    const dialog = h(
      "dialog",
      { "aria-labelledby": "confirm-title", class: "confirm", onclose: () => dialog.remove() },
      h("h2", { id: "confirm-title" }, "This server is not on this machine"),
      h("p", { class: "mono host" }, hostOf(url)),
      h("p", {}, "What you say is sent there."),
      h(
        "div",
        { class: "toolbar" },
        button("Cancel", () => dialog.close()),
        button(QUESTIONS[about], agree, { class: "button primary" }),
      ),
    );
    this.append(dialog);
    dialog.showModal();
  }
}

function hostOf(url) {
  try {
    return new URL(url.trim()).host;
  } catch {
    return url;
  }
}

customElements.define("llmws-notices", Notices);
