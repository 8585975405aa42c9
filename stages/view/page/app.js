// The page: what the address says is shown, and what is asked for becomes the address.

import { at, counted, grouped, make } from "./dom.js";
import { Filters } from "./filters.js";
import { Grid } from "./grid.js";
import { Live } from "./live.js";
import { Pages } from "./pages.js";
import { PictureView } from "./picture.js";
import { gridAddress, pictureAddress, whereOf } from "./query.js";
import { ask, Away, connection } from "./server.js";

const INDEXING_MS = 1000;
const RETRY_MS = 3000;
const LOOKED_AT = 0.3; // detections under this score are shown when asked for: an evaluation keeps them from 0.05 on
const SIZES = [130, 160, 200, 260, 340]; // least widths of thumbnails
const dataset = { title: "", stamp: "", classes: [], splits: [], findings: [], sources: [], runs: [], warnings: [], built: [] };
const chosen = { threshold: null, labels: false };
const dismissed = new Set();
let colors = new Map();
let where = whereOf(location);
let pages = null;
let learning;

const look = () => ({ stamp: dataset.stamp, colors, threshold: thresholdNow(), labels: chosen.labels, query: where.query });
const filters = new Filters((query, replace) => visit(gridAddress(query), replace));
const grid = new Grid(at("grid"), look, (item) => visit(pictureAddress(item, where.query), false));
const picture = new PictureView(look, (other, address) => visit(address, true), close);
const live = new Live((runs) => takeRuns(runs));

function runNow() {
  return dataset.runs.find((one) => one.id === where.query.get("run"));
}

function thresholdNow() {
  return chosen.threshold ?? Math.max(LOOKED_AT, runNow()?.threshold ?? 0);
}

/** Show detections from a score on; null: from the usual one. */
function setThreshold(threshold) {
  chosen.threshold = threshold;
  for (const input of document.querySelectorAll(".threshold input")) {
    input.min = runNow()?.threshold ?? 0;
    input.value = thresholdNow();
    input.nextElementSibling.textContent = thresholdNow().toFixed(2);
  }
  at("threshold-field").hidden = !runNow();
  picture.refresh();
  grid.redraw();
}

/** Go to an address of this page; `replace`: going back leads to what was before the present one. */
function visit(address, replace) {
  const fromGrid = replace ? history.state?.fromGrid : where.id === null;
  history[replace ? "replaceState" : "pushState"]({ fromGrid: Boolean(fromGrid) }, "", address);
  arrive();
}

/** From a picture to the grid. */
function close() {
  if (history.state?.fromGrid) {
    history.back();
  } else {
    visit(gridAddress(where.query), false);
  }
}

/** Show what the address says. */
function arrive() {
  const before = where;
  where = whereOf(location);
  filters.show(where.query);
  if (before.query.get("run") !== where.query.get("run")) {
    setThreshold(null);
  }
  const position = picture.position;
  if (where.id !== null) {
    picture.open(where.id, where.of, where.query);
  } else if (picture.isOpen) {
    picture.hide();
  }
  if (pages === null || before.query.toString() !== where.query.toString()) {
    select(where.id === null ? 0 : position || 0);
  }
  if (where.id === null) {
    document.title = `${dataset.title || "Pictures"} · Nanoforge view`;
    if (before.id !== null) {
      grid.focus(position ?? grid.current);
    }
  }
}

/** Ask for the pictures of the present filter anew. */
function select(index) {
  pages?.close();
  refuse("");
  pages = new Pages(where.query, arrived, refuse);
  grid.show(pages, index);
}

function arrived() {
  count();
  const nothing = pages.total === 0;
  refuse(!nothing ? "" : dataset.indexing ? "Nothing yet: the records are being read" : "No picture is so");
  grid.arrived();
}

function count() {
  if (pages.total !== null && dataset.stamp) {
    const all = dataset.sources.reduce((sum, source) => sum + source.pictures, 0);
    filters.count(pages.total, pages.boxes, Math.max(all, pages.total));
  }
}

function refuse(sentence) {
  at("nothing").textContent = sentence;
  at("nothing").hidden = !sentence;
}

/** Ask what there is to see, until its index is made. */
async function learn() {
  clearTimeout(learning);
  try {
    const before = dataset.indexing?.done;
    Object.assign(dataset, await ask("/api/dataset"));
    take();
    if (before !== undefined && before !== dataset.indexing?.done && (dataset.indexing || before)) {
      refreshPages();
    }
    if (dataset.indexing) {
      clearTimeout(learning);
      learning = setTimeout(learn, INDEXING_MS);
    }
  } catch (error) {
    if (!(error instanceof Away)) {
      refuse(error.message);
    }
  }
}

/** More was read: keep what is seen, ask for it anew. */
function refreshPages() {
  pages?.close();
  pages = new Pages(where.query, arrived, refuse);
  grid.renew(pages);
}

function take() {
  colors = new Map(dataset.classes.map((one) => [one.name, one.color]));
  at("title").textContent = dataset.title;
  document.title = where.id === null ? `${dataset.title} · Nanoforge view` : document.title;
  filters.offer(dataset);
  at("built").replaceChildren(...(dataset.built || []).map(({ title, href }) => make("a", { href }, title)));
  const warnings = dataset.warnings.filter((sentence) => !dismissed.has(sentence));
  at("warnings").replaceChildren(...warnings.map(warning));
  const indexing = dataset.indexing;
  at("indexing").hidden = !indexing;
  if (indexing) {
    at("indexing-bar").max = Math.max(1, indexing.total);
    at("indexing-bar").value = indexing.done;
    at("indexing-words").textContent = `Reading: ${grouped(indexing.done)} of ${counted(indexing.total, "picture")}`;
  }
  live.follow(dataset.live);
  count();
  setThreshold(chosen.threshold);
}

function takeRuns(runs) {
  if (runs.length && JSON.stringify(runs) !== JSON.stringify(dataset.runs)) {
    dataset.runs = runs;
    filters.offerRuns(runs);
  }
}

function warning(sentence) {
  const button = make("button", { type: "button", "aria-label": "Dismiss" }, "×");
  const line = make("li", {}, make("span", {}, sentence), button);
  button.addEventListener("click", () => {
    dismissed.add(sentence);
    line.remove();
  });
  return line;
}

/** Ask anew for what did not come. */
function retry() {
  learn();
  if (pages.total === null) {
    select(0);
  } else {
    grid.arrived();
  }
  if (where.id !== null && picture.position === null) {
    picture.open(where.id, where.of, where.query);
  }
}

let retrying;
connection.addEventListener("away", () => {
  at("away").hidden = false;
  retrying = setInterval(learn, RETRY_MS);
});
connection.addEventListener("back", () => {
  at("away").hidden = true;
  clearInterval(retrying);
  retry();
});
at("retry").addEventListener("click", retry);

function toggleLabels() {
  chosen.labels = !chosen.labels;
  at("grid-labels").setAttribute("aria-pressed", chosen.labels);
  grid.redraw();
}

/** What keys do while the grid is seen. */
function gridKey(event) {
  if (event.key === "/") {
    showFilters(true);
    at("name").focus();
    at("name").select();
  } else if (event.key === "l") {
    toggleLabels();
  } else if (event.key === "Escape" && document.activeElement?.closest("#filters")) {
    showFilters(false);
    grid.focus();
  } else {
    return grid.key(event);
  }
  return true;
}

function isTyping(target) {
  return target.matches("select, input:not([type=checkbox], [type=range])");
}

document.addEventListener("keydown", (event) => {
  const typing = isTyping(event.target) && event.key !== "Escape";
  if (event.ctrlKey || event.metaKey || event.altKey || typing || at("keys").open) {
    return;
  }
  if (event.target.matches("input[type=range]") && event.key.length > 1 && event.key !== "Escape") {
    return; // arrows, Home and End move the slider
  }
  if (event.key === "?") {
    at("keys").showModal();
  } else if (!(picture.isOpen ? picture.key(event) : gridKey(event))) {
    return;
  }
  event.preventDefault();
});

function showFilters(isShown) {
  document.body.classList.toggle("filtering", isShown);
  at("show-filters").setAttribute("aria-expanded", isShown);
}

for (const input of document.querySelectorAll(".threshold input")) {
  input.addEventListener("input", () => setThreshold(Number(input.value)));
}
at("show-filters").addEventListener("click", () => showFilters(!document.body.classList.contains("filtering")));
at("hide-filters").addEventListener("click", () => showFilters(false));
at("grid-labels").addEventListener("click", toggleLabels);
for (const button of document.querySelectorAll(".show-keys")) {
  button.addEventListener("click", () => at("keys").showModal());
}
at("thumbnails").addEventListener("input", (event) => grid.setLeast(SIZES[event.target.value]));
at("skip").addEventListener("click", (event) => {
  event.preventDefault();
  grid.focus();
});
window.addEventListener("popstate", arrive);

learn();
arrive();
