// What stands beside a picture: its boxes, findings, facts and features.

import { at, bytesInWords, counted, make, swatch } from "./dom.js";
import { isJudged, isTruth, KINDS, sizeOf } from "./marks.js";

const MOST_ROWS = 300;

export class Details {
  /** `point(mark)` is called with the box whose row is pointed at or focused (null: none), `open(mark)` at a click. */
  constructor(point, open) {
    this._point = point;
    this._open = open;
    this._rows = new Map();
  }

  /** List the marks of a picture. */
  list(picture, marks) {
    this._rows = new Map(marks.slice(0, MOST_ROWS).map((mark) => [mark, this._row(mark, picture)]));
    at("boxes").replaceChildren(...this._rows.values());
    const truth = marks.filter(isTruth).length;
    const missed = marks.filter((mark) => mark.kind === "missed").length;
    const wrong = marks.filter((mark) => mark.kind === "false").length;
    const parts = [counted(truth, "box", "boxes")];
    if (isJudged(picture)) {
      parts.push(`${missed} missed`, counted(marks.length - truth, "detection"), `${wrong} false`);
    }
    at("boxes-title").textContent = parts.join(", ");
    at("boxes-more").textContent = marks.length > MOST_ROWS ? `and ${marks.length - MOST_ROWS} more` : "";
  }

  facts(picture) {
    const findings = picture.findings.map((found) => {
      const where = [found.line ? `line ${found.line}` : "", found.action || ""].filter(Boolean).join(", ");
      return make("li", {}, make("b", {}, found.kind), ` ${found.message}`, where ? make("small", {}, ` (${where})`) : "");
    });
    fill("picture-findings", findings);
    const facts = [
      ["file", picture.file],
      ["split", picture.split],
      ["stored as", [picture.format, `${picture.width} × ${picture.height}`, picture.bytes ? bytesInWords(picture.bytes) : ""].filter(Boolean).join(", ")],
      ["SHA-256", picture.sha256],
    ];
    fill("facts", rowsOf(facts.filter(([, value]) => value)));
    fill("features", rowsOf(Object.entries(picture.features || {})));
  }

  clear() {
    this._rows = new Map();
    for (const id of ["boxes", "picture-findings", "facts", "features"]) {
      fill(id, []);
    }
    at("boxes-title").textContent = "";
  }

  /** Show which row is pointed at in the picture. */
  choose(mark) {
    for (const [other, row] of this._rows) {
      row.classList.toggle("chosen", other === mark);
    }
    if (mark && !at("boxes").contains(document.activeElement)) {
      this._rows.get(mark)?.scrollIntoView({ block: "nearest" });
    }
  }

  _row(mark, picture) {
    const [width, height] = sizeOf(mark, picture).map((size) => (size < 10 ? size.toFixed(1) : Math.round(size)));
    const flags = [mark.difficult && "difficult", mark.truncated && "truncated"].filter(Boolean);
    const kind = mark.kind === "truth" && !isJudged(picture) ? "" : KINDS[mark.kind].words;
    const words = [kind, mark.score === null ? "" : mark.score.toFixed(2), ...flags].filter(Boolean).join(" · ");
    const button = make("button", { type: "button" }, swatch(mark.color), make("b", {}, mark.class), make("span", {}, `${width} × ${height}`), make("small", {}, words));
    const row = make("li", { className: mark.kind }, button);
    button.addEventListener("pointerenter", () => this._point(mark));
    button.addEventListener("pointerleave", () => this._point(null));
    button.addEventListener("focus", () => this._point(mark));
    button.addEventListener("blur", () => this._point(null));
    button.addEventListener("click", () => this._open(mark));
    return row;
  }
}

function rowsOf(pairs) {
  return pairs.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
}

function fill(id, nodes) {
  at(id).replaceChildren(...nodes);
  at(id).closest("section, details").hidden = nodes.length === 0;
}
