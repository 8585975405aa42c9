// The panel with which pictures are selected. It shows what the address says, and changes nothing but the address.

import { at, counted, grouped, make, swatch } from "./dom.js";
import { canonical, changed, cleared, filters, toggled } from "./query.js";

const TYPING_MS = 250;
const MANY_CLASSES = 15;
const SIZES = [
  ["small", "small", "under 32² pixels"],
  ["medium", "medium", "32² to 96² pixels"],
  ["large", "large", "over 96² pixels"],
];
const SORTS = [
  ["order", "as in the records"],
  ["name", "by name"],
  ["boxes", "most boxes first"],
  ["smallest", "smallest box first"],
  ["worst", "most wrong first"],
];
const MARKS = [
  ["truncated", "with a truncated box"],
  ["difficult", "with a difficult box"],
  ["empty", "without boxes"],
];

export class Filters {
  /** `go(query, replace)` is called with what is asked for; `replace`: as a correction of the address. */
  constructor(go) {
    this._go = go;
    this._query = canonical("");
    this._checks = [];
    this._marks = MARKS.map(([name, words]) => this._check(name, "1", words));
    at("flags").append(...this._marks.map((check) => check.node));
    at("sizes").append(...SIZES.map(([name, words, note]) => this._check("size", name, words, note).node));
    at("sort").append(...SORTS.map(([value, words]) => new Option(words, value)));
    at("sort").addEventListener("change", (event) => this._set("sort", event.target.value));
    at("run").addEventListener("change", (event) => this._set("run", event.target.value));
    this._typed("name");
    this._typed("boxes_min");
    this._typed("boxes_max");
    at("clear").addEventListener("click", () => this._go(cleared(this._query), false));
    at("class-search").addEventListener("input", () => this._narrow());
    at("filter-form").addEventListener("submit", (event) => event.preventDefault());
  }

  /** Take classes, splits, findings, sources and runs from /api/dataset. */
  offer(dataset) {
    const offered = JSON.stringify([dataset.classes, dataset.splits, dataset.findings, dataset.sources, dataset.runs]);
    if (offered === this._offered) {
      return;
    }
    this._offered = offered;
    this._checks = this._checks.filter((check) => ["size", "truncated", "difficult", "empty"].includes(check.name));
    this._fill("classes", dataset.classes.map((one) => this._check("class", one.name, one.name, grouped(one.boxes), swatch(one.color))));
    this._fill("splits", dataset.splits.map((one) => this._check("split", one.name, one.name || "none", grouped(one.pictures))));
    this._fill("sources", dataset.sources.map((one) => this._check("source", one.id, one.title, grouped(one.pictures))), 2);
    const kinds = dataset.findings
      .filter((one) => one.pictures > 0)
      .map((one) => this._check("finding", one.kind, one.kind, grouped(one.pictures), null, one.words));
    this._fill("findings", kinds.length ? [this._check("finding", "any", "any finding"), ...kinds] : []);
    at("class-search").hidden = dataset.classes.length < MANY_CLASSES;
    this.offerRuns(dataset.runs);
    this._narrow();
    this.show(this._query);
  }

  offerRuns(runs) {
    const options = runs.map((run) => {
      const mAP = run.mAP === null || run.mAP === undefined ? "" : `, mAP ${run.mAP.toFixed(3)}`;
      return new Option(run.title + mAP, run.id);
    });
    at("run").replaceChildren(new Option("no detections", ""), ...options);
    at("run-field").hidden = runs.length === 0;
    at("run").value = this._query.get("run") || "";
  }

  /** Show the filter of an address. */
  show(query) {
    this._query = query;
    for (const { name, value, input } of this._checks) {
      input.checked = query.getAll(name).includes(value);
    }
    for (const name of ["name", "boxes_min", "boxes_max"]) {
      if (at(name) !== document.activeElement) {
        at(name).value = query.get(name) || "";
      }
    }
    at("run").value = query.get("run") || "";
    at("sort").value = query.get("sort") || "order";
    at("sort").querySelector('[value="worst"]').disabled = !query.get("run");
    at("clear").disabled = filters(query) === 0;
    at("filter-count").textContent = filters(query) || "";
    for (const link of document.querySelectorAll("a[data-format]")) {
      const all = new URLSearchParams(query);
      all.set("format", link.dataset.format);
      link.href = `/api/export?${all}`;
    }
  }

  /** Say how many pictures there are. */
  count(total, boxes, all) {
    const of = total === all ? counted(total, "picture") : `${grouped(total)} of ${counted(all, "picture")}`;
    at("counts").textContent = `${of}, ${counted(boxes, "box", "boxes")}`;
  }

  _set(name, value) {
    this._go(changed(this._query, name, value), false);
  }

  _typed(name) {
    let waiting;
    let before = null;
    at(name).addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => {
        const goes = before !== null && this._query.toString() === before; // one step back for all that was typed
        const next = changed(this._query, name, at(name).value.trim());
        before = next.toString();
        this._go(next, goes);
      }, TYPING_MS);
    });
    at(name).addEventListener("blur", () => (before = null));
  }

  _check(name, value, words, note = "", before = null, title = "") {
    const input = make("input", { type: "checkbox" });
    const parts = [input, before, make("span", {}, words), note && make("small", {}, note)].filter(Boolean);
    input.addEventListener("change", () => {
      const single = name !== "class" && !this._query.has(name) && value === "1";
      this._go(single ? changed(this._query, name, "1") : toggled(this._query, name, value), false);
    });
    const check = { name, value, input, words, node: make("label", { title: title || words }, ...parts) };
    this._checks.push(check);
    return check;
  }

  _fill(id, checks, least = 1) {
    at(id).replaceChildren(...checks.map((check) => check.node));
    at(id).closest("details, fieldset").hidden = checks.length < least;
  }

  _narrow() {
    const part = at("class-search").value.trim().toLowerCase();
    for (const { name, words, input, node } of this._checks) {
      if (name === "class") {
        node.hidden = !words.toLowerCase().includes(part) && !input.checked;
      }
    }
  }
}
