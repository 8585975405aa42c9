// One picture: large, with its boxes, detections, findings and features.

import { at, grouped } from "./dom.js";
import { Details } from "./details.js";
import { Pane } from "./pane.js";
import { pictureAddress } from "./query.js";
import { Away, ask, imageAddress } from "./server.js";
import { isJudged, isTruth, marksOf } from "./marks.js";
import { descriptionOf } from "./tile.js";
import { closeUp, fitted, kept, scaled, STEP } from "./zoom.js";

const PAN = 60; // pixels a step

export class PictureView {
  /**
   * @param look `{stamp, colors, threshold}` of the page.
   * @param goTo called with a picture (`{id, source}`) to show in place of this one.
   * @param close called to get back to the grid.
   */
  constructor(look, goTo, close) {
    this._look = look;
    this._goTo = goTo;
    this._picture = null;
    this._view = null;
    this._chosen = null;
    this._shown = { truth: true, detections: true, beside: false, labels: true };
    const moves = {
      zoom: (factor, point) => this._zoom(factor, point),
      move: (dx, dy) => this._move(dx, dy),
      toggle: (point) => (this._isFitted() ? this._zoom(3, point) : this._fit()),
    };
    const point = (mark) => this._choose(mark);
    this._panes = ["truth", "detections"].map((title) => new Pane(title, moves, point, () => this._say("The picture cannot be shown: the server did not give it, or the browser cannot read it")));
    at("stage").append(...this._panes.map((pane) => pane.node));
    this._details = new Details(point, (mark) => this._zoomTo(mark));
    new ResizeObserver(() => this._picture && this._fit()).observe(at("stage"));
    for (const name of Object.keys(this._shown)) {
      at(`show-${name}`).addEventListener("click", () => this._toggle(name));
    }
    at("zoom-in").addEventListener("click", () => this._zoom(STEP));
    at("zoom-out").addEventListener("click", () => this._zoom(1 / STEP));
    at("zoom-fit").addEventListener("click", () => this._fit());
    at("back").addEventListener("click", close);
    at("previous").addEventListener("click", () => this._step("previous"));
    at("next").addEventListener("click", () => this._step("next"));
    this._close = close;
  }

  get isOpen() {
    return !at("single").hidden;
  }

  /** The picture's place in the selection, null if it is not known. */
  get position() {
    return this._picture?.position ?? null;
  }

  /** Show the picture of an id; `of` is its source, null if any; `query` the selection it is seen in. */
  async open(id, of, query) {
    this._abort?.abort();
    this._abort = new AbortController();
    this._query = query;
    if (!this.isOpen) {
      at("single").hidden = false;
      at("browse").inert = true;
      at("single").focus();
    }
    const all = new URLSearchParams(query);
    if (of) {
      all.set("of", of);
    }
    try {
      this._show(await ask(`/api/picture/${encodeURIComponent(id)}?${all}`, this._abort.signal));
    } catch (error) {
      if (error.name !== "AbortError" && !(error instanceof Away)) {
        this._nothing(error.message);
      }
    }
  }

  hide() {
    this._abort?.abort();
    at("single").hidden = true;
    at("browse").inert = false;
    this._picture = null;
    this._panes.forEach((pane) => pane.load("", ""));
  }

  /** Draw anew with another threshold or colours. */
  refresh() {
    if (this._picture) {
      const { threshold, colors } = this._look();
      this._chosen = null;
      this._marks = marksOf(this._picture, threshold, colors);
      this._details.list(this._picture, this._marks);
      this._draw();
    }
  }

  /** Do what a key asks for; whether it is one of the view's. */
  key(event) {
    const pan = event.shiftKey ? { ArrowLeft: [PAN, 0], ArrowRight: [-PAN, 0], ArrowUp: [0, PAN], ArrowDown: [0, -PAN] }[event.key] : null;
    const actions = {
      Escape: () => this._close(),
      ArrowRight: () => this._step("next"),
      j: () => this._step("next"),
      ArrowLeft: () => this._step("previous"),
      k: () => this._step("previous"),
      t: () => this._toggle("truth"),
      d: () => this._toggle("detections"),
      b: () => this._toggle("beside"),
      l: () => this._toggle("labels"),
      "+": () => this._zoom(STEP),
      "=": () => this._zoom(STEP),
      "-": () => this._zoom(1 / STEP),
      0: () => this._fit(),
    };
    const action = pan ? () => this._move(...pan) : actions[event.key];
    action?.();
    return Boolean(action);
  }

  _show(picture) {
    const before = this._picture;
    this._picture = picture;
    const compares = isJudged(picture);
    at("picture-name").textContent = picture.name;
    document.title = `${picture.name} · Nanoforge view`;
    at("place").textContent = picture.position === null ? "not in the selection" : `${grouped(picture.position + 1)} of ${grouped(picture.total)}`;
    at("previous").disabled = !picture.previous;
    at("next").disabled = !picture.next;
    for (const id of ["show-detections", "show-beside", "picture-threshold-field", "legend"]) {
      at(id).hidden = !compares;
    }
    at("not-judged").hidden = compares || !picture.detections;
    this._say(picture.problem || "");
    const address = picture.problem ? "" : imageAddress(picture, "full", this._look().stamp);
    this._panes.forEach((pane) => pane.load(address, descriptionOf(picture)));
    this._details.facts(picture);
    this._arrange();
    if (!before || before.width !== picture.width || before.height !== picture.height || this._isFitted()) {
      this._view = fitted(this._panes[0].area, picture);
    }
    this.refresh();
    if (picture.next && !picture.problem) {
      new Image().src = imageAddress(picture.next, "full", this._look().stamp);
    }
  }

  _nothing(sentence) {
    this._picture = null;
    at("picture-name").textContent = "No such picture";
    at("place").textContent = "";
    this._panes.forEach((pane) => {
      pane.load("", "");
      pane.node.hidden = true;
    });
    this._details.clear();
    this._say(sentence);
  }

  _say(sentence) {
    at("problem").textContent = sentence;
    at("problem").hidden = !sentence;
  }

  _toggle(name) {
    if (!at(`show-${name}`).hidden) {
      this._shown[name] = !this._shown[name];
      this._arrange();
      this._fit();
    }
  }

  /** Panes and buttons as what is to be shown needs them. */
  _arrange() {
    const beside = this._beside();
    for (const [name, isOn] of Object.entries(this._shown)) {
      at(`show-${name}`).setAttribute("aria-pressed", isOn);
    }
    this._panes[0].node.hidden = false;
    this._panes[1].node.hidden = !beside;
    at("stage").classList.toggle("stacked", beside && this._isLargerStacked());
    this._panes[0].title = beside ? "Truth" : "";
    this._panes[1].title = "Detections";
  }

  _beside() {
    return this._shown.beside && Boolean(this._picture && isJudged(this._picture));
  }

  _isLargerStacked() {
    const { width, height } = this._picture;
    const { clientWidth, clientHeight } = at("stage");
    const besideEachOther = Math.min(clientWidth / 2 / width, clientHeight / height);
    return Math.min(clientWidth / width, clientHeight / 2 / height) > besideEachOther;
  }

  _draw() {
    if (!this._picture || this._picture.problem) {
      this._panes.forEach((pane) => (pane.node.hidden = true));
      return;
    }
    const { truth, detections, labels } = this._shown;
    const ofTruth = this._marks.filter(isTruth);
    const ofRun = this._marks.filter((mark) => !isTruth(mark));
    const [first, second] = this._beside() ? [ofTruth, ofRun] : [[...(truth ? ofTruth : []), ...(detections ? ofRun : [])], []];
    const named = (mark) => labels && !(mark.found && detections && !this._beside()); // its detection has the label
    const chosenOf = (marks) => (marks.includes(this._chosen) ? this._chosen : null);
    this._view = kept(this._view, this._panes[0].area, this._picture);
    this._panes[0].draw(this._picture, this._view, first, named, chosenOf(first));
    if (this._beside()) {
      this._panes[1].draw(this._picture, this._view, second, named, chosenOf(second));
    }
    at("zoom-fit").textContent = `${Math.round(100 * this._view.scale)} %`;
  }

  _choose(mark) {
    if (this._chosen !== mark) {
      this._chosen = mark;
      this._details.choose(mark);
      this._soon();
    }
  }

  _soon() {
    this._frame ??= requestAnimationFrame(() => {
      this._frame = undefined;
      this._draw();
    });
  }

  _isFitted() {
    return !this._view || !this._picture || this._fitScale === this._view.scale;
  }

  _fit() {
    if (this._picture) {
      this._view = fitted(this._panes[0].area, this._picture);
      this._fitScale = this._view.scale;
      this._soon();
    }
  }

  _zoom(factor, point) {
    if (this._picture) {
      const area = this._panes[0].area;
      this._view = scaled(this._view, factor, point || { x: area.width / 2, y: area.height / 2 }, area, this._picture);
      this._soon();
    }
  }

  _zoomTo(mark) {
    this._view = closeUp(mark.box, this._panes[0].area, this._picture);
    this._soon();
  }

  _move(dx, dy) {
    if (this._picture) {
      this._view = { ...this._view, x: this._view.x + dx, y: this._view.y + dy };
      this._soon();
    }
  }

  _step(where) {
    const other = this._picture?.[where];
    if (other) {
      this._goTo(other, pictureAddress(other, this._query));
    }
  }
}
