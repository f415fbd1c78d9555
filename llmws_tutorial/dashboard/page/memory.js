// What this page remembers from visit to visit, where the browser lets it.

/** What was remembered under a name; null if there is nothing. */
export function recall(name) {
  try {
    return JSON.parse(localStorage.getItem(keyOf(name)));
  } catch {
    return null; // storage is off, or somebody else wrote there
  }
}

/** Remember something that JSON can hold. */
export function remember(name, value) {
  try {
    localStorage.setItem(keyOf(name), JSON.stringify(value));
  } catch {
    // storage is off: it holds until the page is left
  }
}

// Behind a proxy several dashboards share an origin, but no path.
function keyOf(name) {
  return `${name} ${location.pathname}`;
}
