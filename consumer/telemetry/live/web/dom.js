/** Elements. Text goes in as text and nothing else: no mark-up is ever read from a string. */
const SVG = "http://www.w3.org/2000/svg";

function byId(id) {
  return document.getElementById(id);
}

/** An element with attributes and children; strings become text, null and undefined nothing. */
function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function drawing(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((one) => one !== null && one !== undefined));
  return made;
}

/** Sets text only where it differs, so that a reader's selection and place stay. */
function say(where, text) {
  if (where.textContent !== text) where.textContent = text;
}

/** Rows of a table that are kept from one answer to the next, by key. */
class Rows {
  constructor(body, make, fill) {
    this.body = body;
    this.make = make;
    this.fill = fill;
    this.known = new Map();
  }

  show(entries) {
    const wanted = new Set(entries.map(([key]) => key));
    for (const [key, row] of this.known) {
      if (!wanted.has(key)) {
        row.node.remove();
        this.known.delete(key);
      }
    }
    let before = this.body.firstElementChild;
    for (const [key, value] of entries) {
      let row = this.known.get(key);
      if (!row) {
        row = this.make(key);
        this.known.set(key, row);
      }
      if (row.node !== before) this.body.insertBefore(row.node, before);
      before = row.node.nextElementSibling;
      this.fill(row, value, key);
    }
  }
}
