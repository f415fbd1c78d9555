// Keeps the focus: what has it may be removed, hidden or disabled at any moment of a call.
//
// A browser then forgets where its user was, and the next Tab begins at the top. Here the focus goes
// to what was around it and can take it (`tabindex`), at last to the conversation. A panel that knows
// a better place focuses that itself.

import { beforeNextPicture } from "./redraw.js";

let chain = []; // what has the focus, and all that is around it
const lookSoon = beforeNextPicture(look);

document.addEventListener("focusin", ({ target }) => (chain = [...outwards(target)]));
document.addEventListener("focusout", lookSoon);
new MutationObserver(lookSoon).observe(document.body, {
  subtree: true,
  childList: true,
  attributeFilter: ["disabled", "hidden", "open"],
});

function look() {
  const [holder, ...around] = chain;
  const { activeElement } = document;
  if (holder === undefined || ![holder, document.body].includes(activeElement)) return;
  if (isThere(holder)) {
    if (activeElement !== holder) chain = []; // its user has left it
    return;
  }
  chain = [];
  const next = around.find((element) => element.matches("[tabindex]") && isThere(element));
  (next ?? document.querySelector("#conversation")).focus({ preventScroll: true });
}

function* outwards(element) {
  for (let one = element; one !== null; one = one.parentElement) yield one;
}

/** Whether an element can have the focus. */
function isThere(element) {
  return element.isConnected && !element.matches(":disabled") && element.checkVisibility();
}
