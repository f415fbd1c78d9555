// Lays JSON out over several lines, without touching what is in it.
//
// JSON.stringify(JSON.parse(text)) would not do: it rounds long numbers and drops repeated names,
// and what is looked for in a frame may be just that.

const DEEPEST = 64; // further in, each bracket would cost a line of blanks
const SHORT = 70; // characters that fit on a line
const TURNS_TEXT = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g; // lets a line read other than it is

/** Lay a text out; one that is no JSON, or nested too deeply, comes back as it is. */
export function laidOut(text) {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  return layOut(text) ?? text;
}

function layOut(text) {
  const parts = [];
  let depth = 0;
  for (let at = 0; at < text.length; ) {
    const sign = text[at];
    const line = "{[".includes(sign) ? oneLine(text, at) : null;
    if (line !== null) {
      parts.push(line.text);
      at = line.end;
      continue;
    }
    const end = endOfToken(text, at);
    if ("{[".includes(sign)) {
      depth += 1;
      if (depth > DEEPEST) return null;
      parts.push(sign, newLine(depth));
    } else if ("}]".includes(sign)) {
      depth -= 1;
      parts.push(newLine(depth), sign);
    } else if (sign === ",") parts.push(",", newLine(depth));
    else parts.push(asWritten(text.slice(at, end)));
    at = end;
  }
  return parts.join("");
}

/** The object or list that begins here, if it is short and holds neither; else null. */
function oneLine(text, start) {
  const parts = [];
  let length = 0;
  for (let at = endOfToken(text, start); ; ) {
    const end = endOfToken(text, at);
    const token = text.slice(at, end);
    length += token.length;
    if ("{[".includes(token[0]) || length > SHORT) return null;
    if ("}]".includes(token[0])) {
      const inner = parts.join("");
      return { text: text[start] + (inner && text[start] === "{" ? ` ${inner} ` : inner) + token, end };
    }
    parts.push(token === "," ? ", " : asWritten(token));
    at = end;
  }
}

function asWritten(token) {
  if (token === ":") return ": ";
  return token[0] === '"' ? token.replace(TURNS_TEXT, escaped) : token.trim();
}

/** Where the token that begins here ends: a string, a sign, white space or a literal. */
function endOfToken(text, start) {
  if (text[start] === '"') {
    let end = start + 1;
    while (text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
    return end + 1;
  }
  if ("{}[],:".includes(text[start])) return start + 1;
  let end = start + 1;
  while (end < text.length && !'{}[],:"'.includes(text[end])) end += 1;
  return end;
}

function newLine(depth) {
  return `\n${"  ".repeat(depth)}`;
}

function escaped(sign) {
  return `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
