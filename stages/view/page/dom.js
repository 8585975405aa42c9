// Making and finding elements. Texts come from users' files: they only ever become text nodes and attributes' values.

const SVG = "http://www.w3.org/2000/svg";

export const at = (id) => document.getElementById(id);

/** An element with properties (names with a hyphen, and `role`, are attributes) and children (nodes or texts). */
export function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") {
      node.setAttribute(name, value);
    } else {
      node[name] = value;
    }
  }
  node.append(...children);
  return node;
}

export function makeSvg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** A small square of a class's colour, for lists. */
export function swatch(color) {
  const square = make("i", { className: "swatch", "aria-hidden": "true" });
  square.style.background = color;
  return square;
}

export const grouped = (number) => number.toLocaleString("en");

/** "1 box", "1,234 boxes". */
export const counted = (number, one, many = one + "s") => `${grouped(number)} ${number === 1 ? one : many}`;

export function bytesInWords(bytes) {
  const units = ["bytes", "kB", "MB", "GB"];
  let unit = 0;
  for (; bytes >= 1000 && unit < units.length - 1; unit++) {
    bytes /= 1000;
  }
  return `${unit && bytes < 100 ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
}
