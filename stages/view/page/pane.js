// A picture with marks over it, in a view that panes side by side share.

import { make } from "./dom.js";
import { cleared, draw, rectangleOf } from "./drawing.js";
import { listen } from "./zoom.js";

const STYLE = { line: 2, font: 12.5 };
const REACH = 6; // pixels around a box in which it is still pointed at
const PIXELS_SHOW = 6; // from this scale on, pixels are drawn as squares

export class Pane {
  /** `moves` as for zoom.listen; `point(mark)` is told what is pointed at, null for nothing. */
  constructor(title, moves, point, failed) {
    this.image = make("img", { draggable: false, decoding: "async", alt: "" });
    this.image.addEventListener("error", () => this.image.hasAttribute("src") && failed());
    this.canvas = make("canvas", { "aria-hidden": "true" });
    this._title = make("p", { className: "pane-title" }, title);
    this.node = make("div", { className: "pane" }, this.image, this.canvas, this._title);
    this._marks = [];
    this._frame = null;
    listen(this.node, moves);
    this.node.addEventListener("pointermove", (event) => event.buttons === 0 && point(this._at(event)));
    this.node.addEventListener("pointerleave", () => point(null));
  }

  get area() {
    return { width: this.node.clientWidth, height: this.node.clientHeight };
  }

  set title(words) {
    this._title.textContent = words;
    this._title.hidden = !words;
  }

  /** Ask for a picture that is in words `alt`; no address: none. */
  load(address, alt) {
    this.image.alt = alt;
    if (!address) {
      this.image.removeAttribute("src");
    } else if (this.image.getAttribute("src") !== address) {
      this.image.src = address;
    }
  }

  /** `labelled(mark)`: which marks have a label; of those of a `chosen` one (null: none) only that has. */
  draw(picture, view, marks, labelled, chosen) {
    const frame = { x: view.x, y: view.y, width: picture.width * view.scale, height: picture.height * view.scale };
    this.image.style.width = `${frame.width}px`;
    this.image.style.height = `${frame.height}px`;
    this.image.style.transform = `translate(${frame.x}px, ${frame.y}px)`;
    this.image.classList.toggle("pixels", view.scale * (window.devicePixelRatio || 1) > PIXELS_SHOW);
    this._marks = marks;
    this._frame = frame;
    const { width, height } = this.area;
    const context = cleared(this.canvas, width, height);
    draw(context, marks, frame, { width, height }, STYLE, (mark) => (chosen ? mark === chosen : labelled(mark)), chosen);
  }

  /** The smallest box at a pointer, as a large one may be around it. */
  _at(event) {
    if (!this._frame) {
      return null;
    }
    const place = this.node.getBoundingClientRect();
    const [x, y] = [event.clientX - place.left, event.clientY - place.top];
    let best = null;
    let least = Infinity;
    for (const mark of this._marks) {
      const box = rectangleOf(mark, this._frame);
      const inside = x >= box.x - REACH && x <= box.x + box.width + REACH && y >= box.y - REACH && y <= box.y + box.height + REACH;
      if (inside && box.width * box.height < least) {
        least = box.width * box.height;
        best = mark;
      }
    }
    return best;
  }
}
