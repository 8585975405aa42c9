// A training under way: its curves, asked for every few seconds as long as somebody looks.

import { at, grouped, makeSvg } from "./dom.js";
import { ask } from "./server.js";

const EVERY_MS = 3000;
const [WIDTH, HEIGHT] = [220, 64];
const MOST_POINTS = 300;

export class Live {
  /** `runs(list)` is called with the runs that there are by now. */
  constructor(runs) {
    this._runs = runs;
    this._on = false;
    document.addEventListener("visibilitychange", () => this._look());
  }

  /** Ask from now on, or no longer. */
  follow(isLive) {
    if (this._on !== isLive) {
      this._on = isLive;
      at("live").hidden = !isLive;
      this._look();
    }
  }

  async _look() {
    clearTimeout(this._waiting);
    if (!this._on || document.hidden) {
      return;
    }
    try {
      const state = await ask("/api/live");
      this._show(state);
      this._runs(state.runs || []);
    } catch {
      // Told by the page as a whole; the next look may succeed.
    }
    clearTimeout(this._waiting);
    this._waiting = setTimeout(() => this._look(), EVERY_MS);
  }

  _show(state) {
    const steps = state.steps ? ` of ${grouped(state.steps)}` : "";
    at("live-state").textContent = state.running ? "Training" : "No training runs";
    at("live-step").textContent = `step ${grouped(state.step || 0)}${steps}`;
    curve("loss", (state.points || []).map(({ step, loss }) => [step, loss]), 2);
    curve("map", (state.evaluations || []).map(({ step, mAP }) => [step, mAP]), 3);
  }
}

/** Draw points `[x, y]` as a line into the figure of a name, with its last value beside it. */
function curve(name, points, digits) {
  const known = points.filter(([, y]) => Number.isFinite(y));
  at(`live-${name}`).hidden = known.length === 0;
  if (!known.length) {
    return;
  }
  const last = known[known.length - 1][1];
  at(`live-${name}-value`).textContent = last.toFixed(digits);
  const line = makeSvg("path", { d: pathOf(known), class: "curve" });
  const [x, y] = onChart(known)(known[known.length - 1]);
  at(`live-${name}-chart`).replaceChildren(line, makeSvg("path", { d: `M${x} ${y}h.01`, class: "end" }));
  at(`live-${name}-chart`).setAttribute("aria-label", `from ${known[0][1].toFixed(digits)} at step ${known[0][0]} to ${last.toFixed(digits)} at step ${known[known.length - 1][0]}`);
}

/** From `[x, y]` to a place on the chart; y from 0 (or the least, if negative) to the greatest. */
function onChart(points) {
  const [from, to] = [points[0][0], points[points.length - 1][0]];
  const values = points.map(([, y]) => y);
  const [low, high] = [Math.min(0, ...values), Math.max(...values)];
  return ([x, y]) => [
    4 + ((x - from) / (to - from || 1)) * (WIDTH - 8),
    HEIGHT - 4 - ((y - low) / (high - low || 1)) * (HEIGHT - 8),
  ];
}

export function pathOf(points) {
  const every = Math.ceil(points.length / MOST_POINTS);
  const fewer = points.filter((point, index) => index % every === 0 || index === points.length - 1);
  const place = onChart(points);
  return fewer.map((point, index) => `${index ? "L" : "M"}${place(point).map((one) => one.toFixed(1)).join(" ")}`).join("");
}
