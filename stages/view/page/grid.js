// The grid of thumbnails: only what is in sight has elements, whatever the number of pictures.

import { CAPTION, Tile } from "./tile.js";

const GAP = 10;
const ROWS_AROUND = 2; // drawn above and below what is seen
const TALLEST = 8e6; // pixels; browsers end at 16 million. Beyond, a step of the scroll bar is more than one pixel
const FLYING = 8; // pixels a millisecond: nothing is loaded while pictures fly past
const SETTLED_MS = 90;
const ORDERED_MS = 400;

export class Grid {
  /**
   * @param scroller the element that scrolls; it becomes a list.
   * @param look see Tile.
   * @param open called with the index and the picture that is to be opened.
   */
  constructor(scroller, look, open) {
    this._scroller = scroller;
    this._canvas = scroller.firstElementChild;
    this._look = look;
    this._open = open;
    this._pages = null;
    this._tiles = new Map();
    this._spare = [];
    this._least = 200;
    this._top = 0;
    this._moved = 0;
    this.current = 0;
    scroller.addEventListener("scroll", () => this._schedule(), { passive: true });
    scroller.addEventListener("focusin", (event) => this._focused(event.target));
    scroller.addEventListener("click", (event) => this._clicked(event));
    new ResizeObserver(() => this._resized()).observe(scroller);
  }

  /** Show other pictures, from the first or from `index` on. */
  show(pages, index = 0) {
    this._pages = pages;
    this.current = index;
    this._goal = index;
    this._recycle(() => true);
    pages.want(index, index);
    this.arrived();
  }

  /** Take the same pictures from other pages, as there are more by now; the place stays. */
  renew(pages) {
    pages.total = this._pages?.total ?? null;
    this._pages = pages;
    this._update();
  }

  /** Take note of what the pages have got. */
  arrived() {
    this._resized();
    if (this._goal !== null && this._pages.total !== null) {
      this.current = Math.max(0, Math.min(this._goal, this._pages.total - 1));
      this._scroller.scrollTop = 0;
      this.reveal(this.current, this._goal > 0);
      this._goal = null;
    }
  }

  /** Draw all tiles anew, as after another threshold. */
  redraw() {
    for (const tile of this._tiles.values()) {
      tile.redraw();
    }
  }

  /** Thumbnails at least so wide, in pixels. */
  setLeast(pixels) {
    const first = this._firstSeen();
    this._least = pixels;
    this._resized();
    this.reveal(first, true);
  }

  focus(index = this.current) {
    this.current = Math.max(0, Math.min(index, (this._pages.total || 1) - 1));
    this.reveal(this.current);
    this._update();
    this._tiles.get(this.current)?.link.focus({ preventScroll: true });
  }

  /** Scroll until a picture is in sight; `middle`: to the middle if it is not. */
  reveal(index, middle = false) {
    const top = Math.floor(index / this._columns) * this._pitch;
    const [from, height] = [this._realTop(), this._scroller.clientHeight];
    if (top >= from && top + this._pitch <= from + height) {
      return;
    }
    const goal = middle ? top - (height - this._pitch) / 2 : top < from ? top : top + this._pitch - height + GAP;
    this._scroller.scrollTop = goal / this._ratio;
    this._update();
  }

  _resized() {
    const style = getComputedStyle(this._scroller);
    const width = this._scroller.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const least = Math.min(this._least, (width - GAP) / 2);
    this._columns = Math.max(1, Math.floor((width + GAP) / (least + GAP)));
    const wide = Math.max(1, (width - GAP * (this._columns - 1)) / this._columns);
    this._size = { width: wide, height: Math.round(wide * 0.75) };
    this._pitch = this._size.height + CAPTION + GAP;
    const real = Math.ceil((this._pages?.total || 0) / this._columns) * this._pitch;
    const view = this._scroller.clientHeight;
    const shown = Math.min(real, TALLEST);
    this._ratio = shown > view && real > shown ? (real - view) / (shown - view) : 1;
    this._canvas.style.height = `${shown}px`;
    this._canvas.style.setProperty("--wide", `${wide}px`);
    this._canvas.style.setProperty("--high", `${this._size.height}px`);
    this._schedule();
  }

  /** Where the top of the view is in a grid of true height. */
  _realTop() {
    return this._scroller.scrollTop * this._ratio;
  }

  _firstSeen() {
    return Math.max(0, Math.round(this._realTop() / this._pitch)) * this._columns;
  }

  _schedule() {
    this._frame ??= requestAnimationFrame(() => {
      this._frame = undefined;
      this._update();
    });
  }

  _update() {
    const total = this._pages?.total;
    if (!total) {
      this._recycle(() => true);
      this._hideSpare();
      return;
    }
    const [top, view] = [this._realTop(), this._scroller.clientHeight];
    const flies = this._flies(top);
    clearTimeout(this._settled);
    if (flies) {
      this._settled = setTimeout(() => this._update(), SETTLED_MS);
    }
    const inSight = [Math.floor(top / this._pitch) * this._columns, Math.ceil((top + view) / this._pitch) * this._columns - 1];
    const around = ROWS_AROUND * this._columns;
    const first = Math.max(0, inSight[0] - around);
    const last = Math.min(total - 1, inSight[1] + around);
    if (!flies) {
      this._pages.want(first, last);
    }
    const holdsFocus = this._canvas.contains(document.activeElement);
    this._recycle((index) => (index < first || index > last) && !(holdsFocus && index === this.current));
    for (let index = first; index <= last; index++) {
      this._put(index, total, flies, index >= inSight[0] && index <= inSight[1]);
    }
    if (this._tiles.has(this.current) && (this.current < first || this.current > last)) {
      this._put(this.current, total, true, false);
    }
    this._markCurrent(first, last);
    this._hideSpare();
    clearTimeout(this._ordering);
    this._ordering = setTimeout(() => this._order(), ORDERED_MS);
  }

  /** Give the elements the pictures' order, as they are read aloud; what has the focus is not moved, or would lose it. */
  _order() {
    const nodes = [...this._tiles].sort(([a], [b]) => a - b).map(([, tile]) => tile.node);
    if (nodes.every((node, place) => place === 0 || node.previousSibling === nodes[place - 1])) {
      return;
    }
    const held = nodes.findIndex((node) => node.contains(document.activeElement));
    nodes.forEach((node, place) => {
      if (place !== held) {
        this._canvas.insertBefore(node, place < held ? nodes[held] : null);
      }
    });
  }

  /** Whether the grid is scrolled too fast to look at; called once at each move. */
  _flies(top) {
    const now = performance.now();
    const flies = Math.abs(top - this._top) > FLYING * (now - this._moved);
    this._top = top;
    this._moved = now;
    return flies;
  }

  _put(index, total, flies, inSight) {
    let tile = this._tiles.get(index);
    if (!tile) {
      tile = this._spare.pop() || this._made();
      this._tiles.set(index, tile);
    }
    const [row, column] = [Math.floor(index / this._columns), index % this._columns];
    tile.place(column * (this._size.width + GAP), row * this._pitch - this._top + this._scroller.scrollTop);
    tile.show(index, total, this._pages.get(index), this._size);
    if (!flies) {
      tile.load(inSight);
    }
  }

  _made() {
    const tile = new Tile(this._look);
    tile.node.tile = tile;
    this._canvas.append(tile.node);
    return tile;
  }

  _recycle(isUnused) {
    for (const [index, tile] of this._tiles) {
      if (isUnused(index)) {
        this._tiles.delete(index);
        tile.cancel();
        tile.index = -1;
        tile.item = undefined;
        this._spare.push(tile);
      }
    }
  }

  /** Last of all, so that a tile that is used again at once is never hidden, which would cost a layout. */
  _hideSpare() {
    for (const tile of this._tiles.values()) {
      tile.node.hidden = false;
    }
    for (const tile of this._spare) {
      tile.node.hidden = true;
    }
  }

  /** One tile, the current one if it is there, can be reached by Tab. */
  _markCurrent(first, last) {
    const reachable = this.current >= first && this.current <= last ? this.current : first;
    for (const [index, tile] of this._tiles) {
      tile.link.tabIndex = index === reachable ? 0 : -1;
    }
  }

  _tileOf(node) {
    return node.closest?.(".tile")?.tile;
  }

  _focused(node) {
    const tile = this._tileOf(node);
    if (tile) {
      this.current = tile.index;
    }
  }

  _clicked(event) {
    const tile = this._tileOf(event.target);
    if (tile?.item && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      this.current = tile.index;
      this._open(tile.item);
    }
  }

  /** Move by a key; whether it is one of the grid's. */
  key(event) {
    if (!this._pages?.total) {
      return false;
    }
    const rows = Math.max(1, Math.floor(this._scroller.clientHeight / this._pitch));
    const steps = {
      ArrowLeft: -1,
      ArrowRight: 1,
      k: -1,
      j: 1,
      ArrowUp: -this._columns,
      ArrowDown: this._columns,
      PageUp: -rows * this._columns,
      PageDown: rows * this._columns,
      Home: -Infinity,
      End: Infinity,
    };
    if (!(event.key in steps)) {
      return false;
    }
    this.focus(this._stepped(steps[event.key]));
    return true;
  }

  /** The index after a step; up from the first row and down from the last is nowhere. */
  _stepped(step) {
    const goal = this.current + step;
    const inside = Math.max(0, Math.min(goal, this._pages.total - 1));
    const sameRow = Math.floor(inside / this._columns) === Math.floor(this.current / this._columns);
    return Math.abs(step) === this._columns && inside !== goal && sameRow ? this.current : inside;
  }
}
