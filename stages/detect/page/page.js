"use strict";

const EVERY_MS = 250;
const SILENT_S = 3;
const MOST_ROWS = 50;
const SVG = "http://www.w3.org/2000/svg";
const at = (id) => document.getElementById(id);

function say(kind, words, cover) {
  at("status").className = kind;
  at("status").textContent = words;
  at("cover").hidden = !cover;
  at("cover").textContent = cover || "";
}

function row(found) {
  const item = document.createElement("li");
  const swatch = document.createElementNS(SVG, "svg");
  const fill = document.createElementNS(SVG, "rect");
  fill.setAttribute("width", "100%");
  fill.setAttribute("height", "100%");
  fill.setAttribute("fill", found.color);
  swatch.append(fill);
  const name = document.createElement("b");
  name.textContent = found.class;
  const score = document.createElement("output");
  score.textContent = found.score.toFixed(2);
  const bar = document.createElement("meter");
  bar.value = found.score;
  item.append(swatch, name, score, bar);
  return item;
}

function show(state) {
  const has = state.frame !== undefined;
  const silent = state.silent_s > SILENT_S;
  const found = silent ? [] : state.detections;
  at("source").textContent = state.source;
  document.title = (has ? state.fps.toFixed(1) + " FPS · " : "") + "Live · Nanoforge";
  at("fps").textContent = has ? state.fps.toFixed(1) : "–";
  at("latency").textContent = has && !silent ? state.latency.toFixed(0) : "–";
  at("high").textContent = has && !silent ? "90 % under " + state.latency_p90.toFixed(0) : "";
  at("frames").textContent = state.frames.toLocaleString("en");
  at("left-out").textContent = state.left_out ? state.left_out.toLocaleString("en") + " left out" : "";
  at("count").textContent = found.length ? "(" + found.length + ")" : "";
  at("detections").replaceChildren(...found.slice(0, MOST_ROWS).map(row));
  at("nothing").hidden = found.length > 0;
  if (!has) {
    say("", "waiting for the first picture", "waiting for the first picture");
  } else if (silent) {
    say("", "no picture for " + state.silent_s.toFixed(0) + " s", "The camera gives no pictures at the moment");
  } else {
    say("live", "live", "");
  }
}

let connected = false;

// The stream is a picture that never ends; when its server was away, it has to be asked for again.
function watch() {
  at("picture").src = "stream?" + Date.now();
  at("picture").hidden = false;
}

async function look() {
  try {
    const answer = await fetch("state");
    show(await answer.json());
    if (!connected) {
      watch();
    }
    connected = true;
  } catch (error) {
    connected = false;
    say("ended", "ended", "Detection has ended; this page goes on when it runs again");
  }
  setTimeout(look, EVERY_MS);
}

look();
