// Builds elements. Text becomes text nodes only: nothing that a stranger said is ever markup.

/**
 * Make an element: h("button", { type: "button", onclick: f, "aria-label": "x" }, "Call", child).
 * A property that is a function is listened to; null and false leave an attribute out.
 */
export function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(key.replace(/^on/, ""), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Make a button that does something. */
export function button(text, onclick, properties = {}) {
  return h("button", { type: "button", class: "button", onclick, ...properties }, text);
}

/** Put children in place of all that an element has. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
}

/** Set a text, unless it is there: what is set again is read out again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Milliseconds as people read them: "42 ms", "1.3 s"; a dash where there are none. */
export function ms(value) {
  if (value === null || value === undefined) return "–";
  return value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;
}

/** Seconds of a call as "12.345". */
export function seconds(value) {
  return value === null || value === undefined ? "" : value.toFixed(3);
}

/** Bytes or characters as people read them: "812", "12.4 k", "1.1 M". */
export function size(value) {
  if (value < 1000) return `${value}`;
  return value < 1e6 ? `${(value / 1e3).toFixed(1)} k` : `${(value / 1e6).toFixed(1)} M`;
}
