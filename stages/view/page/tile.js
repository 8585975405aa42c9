// A picture in the grid: thumbnail, boxes, name. Tiles are used again and again as the grid is scrolled.

import { counted, make } from "./dom.js";
import { cleared, draw } from "./drawing.js";
import { imageAddress } from "./server.js";
import { isJudged, marksOf } from "./marks.js";
import { pictureAddress } from "./query.js";

export const CAPTION = 26; // pixels below the thumbnail, as in style.css
const STYLE = { line: 1.5, font: 11 };

export class Tile {
  /** `look()` gives what all tiles share: `{stamp, colors, threshold, labels, query}`. */
  constructor(look) {
    this._look = look;
    this.image = make("img", { decoding: "async", draggable: false, alt: "" });
    this.canvas = make("canvas", { "aria-hidden": "true" });
    this.name = make("b");
    this.note = make("small");
    this.link = make("a", { tabIndex: -1 }, this.image, this.canvas, this.name, this.note);
    this.node = make("li", { className: "tile", role: "listitem" }, this.link);
    this.link.addEventListener("pointerenter", () => this._hover(true));
    this.link.addEventListener("pointerleave", () => this._hover(false));
    this.link.addEventListener("focus", () => this._hover(true));
    this.link.addEventListener("blur", () => this._hover(false));
    this.image.addEventListener("load", () => this.node.classList.add("loaded"));
    this.image.addEventListener("error", () => this.image.hasAttribute("src") && this.node.classList.add("broken"));
    this.index = -1;
    this.item = undefined;
    this._hovered = false;
  }

  /** Be the picture of an index, `undefined` as long as it is on its way. */
  show(index, total, item, size) {
    if (this.index === index && this.item === item && this._width === size.width) {
      return;
    }
    if (this.item !== item || item === undefined) {
      this.cancel();
    }
    this.index = index;
    this.item = item;
    this._width = size.width;
    this._height = size.height;
    this.node.setAttribute("aria-posinset", index + 1);
    this.node.setAttribute("aria-setsize", total);
    this._describe();
    this.redraw();
  }

  /** Ask for the thumbnail, those in sight first. */
  load(inSight) {
    if (this.item && !this.image.hasAttribute("src")) {
      this.image.fetchPriority = inSight ? "high" : "low";
      this.image.src = imageAddress(this.item, "thumb", this._look().stamp);
    }
  }

  /** No longer ask for the thumbnail, and show none. */
  cancel() {
    this.image.removeAttribute("src");
    this.node.classList.remove("loaded", "broken");
  }

  place(x, y) {
    const transform = `translate(${x}px, ${y}px)`;
    if (this._transform !== transform) {
      this._transform = transform;
      this.node.style.transform = transform;
    }
  }

  redraw() {
    this.note.textContent = this.item ? noteOf(this.item, this._marks()) : "";
    const { labels } = this._look();
    const area = { width: this._width, height: this._height };
    const context = cleared(this.canvas, area.width, area.height);
    if (!this.item) {
      return;
    }
    const scale = Math.min(area.width / this.item.width, area.height / this.item.height);
    const [width, height] = [this.item.width * scale, this.item.height * scale];
    const frame = { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    const labelled = labels || this._hovered;
    draw(context, this._marks(), frame, area, STYLE, () => labelled);
  }

  /** What is drawn: right detections are not, as they are where their box is. */
  _marks() {
    const { colors, threshold } = this._look();
    return marksOf(this.item, threshold, colors).filter((mark) => mark.kind !== "right");
  }

  _hover(hovered) {
    this._hovered = hovered;
    this.redraw();
  }

  _describe() {
    const item = this.item;
    this.name.textContent = item ? item.name.split("/").pop() : "";
    this.link.title = item ? item.name : "";
    this.note.classList.toggle("found", Boolean(item && item.findings.length));
    if (item) {
      this.link.href = pictureAddress(item, this._look().query);
      this.link.setAttribute("aria-label", descriptionOf(item));
    } else {
      this.link.removeAttribute("href");
      this.link.setAttribute("aria-label", `Picture ${this.index + 1}, on its way`);
    }
  }
}

function noteOf(item, marks) {
  const wrong = marks.filter((mark) => mark.kind !== "truth").length;
  const findings = item.findings.length ? `⚠ ${item.findings.length} · ` : "";
  return findings + (wrong ? `${wrong} wrong` : item.boxes.length || "empty");
}

/** A picture in words: "a.jpg: 2 cone, 1 mug; validation; findings: leak". */
export function descriptionOf(item) {
  const classes = new Map();
  for (const box of item.boxes) {
    classes.set(box.class, (classes.get(box.class) || 0) + 1);
  }
  const boxes = [...classes].map(([name, number]) => `${number} ${name}`).join(", ") || "no boxes";
  const detections = isJudged(item) ? `; ${counted(item.detections.length, "detection")}` : "";
  const findings = item.findings.length ? `; findings: ${item.findings.map((found) => found.kind || found).join(", ")}` : "";
  return `${item.name}: ${boxes}${detections}${item.split ? `; ${item.split}` : ""}${findings}`;
}
