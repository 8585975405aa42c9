// Boxes and labels on a canvas. Every line has a dark rim, so that it shows on any picture.

import { placeLabels } from "./labels.js";
import { KINDS } from "./marks.js";

const RIM = "rgb(0 0 0 / 70%)";
const FONT_FAMILY = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

/** A canvas' context in CSS pixels, cleared; the canvas gets as many pixels as the screen has there. */
export function cleared(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** A mark's rectangle on the screen; `frame` is where the picture is: `{x, y, width, height}`. */
export function rectangleOf(mark, frame) {
  const [xmin, ymin, xmax, ymax] = mark.box;
  return {
    x: frame.x + xmin * frame.width,
    y: frame.y + ymin * frame.height,
    width: (xmax - xmin) * frame.width,
    height: (ymax - ymin) * frame.height,
  };
}

/**
 * Draw marks, and the labels for which `labelled(mark)` holds; the others fade where one is `chosen`.
 *
 * `style` is `{line, font}`: width of a line and height of a font, in pixels. Returns where the labels are, as
 * `placeLabels` does.
 */
export function draw(context, marks, frame, area, style, labelled, chosen = null) {
  const boxes = marks.map((mark) => rectangleOf(mark, frame));
  marks.forEach((mark, index) => {
    context.globalAlpha = chosen && chosen !== mark ? 0.35 : 1;
    outline(context, boxes[index], mark, style.line * (chosen === mark ? 1.8 : 1));
  });
  context.globalAlpha = 1;
  context.font = `600 ${style.font}px ${FONT_FAMILY}`;
  const sizes = marks.map((mark) => (labelled(mark) ? labelSize(context, mark.text, style.font) : null));
  const places = placeLabels(boxes, sizes, area);
  places.forEach((place, index) => place && label(context, place, marks[index], style.font));
  return places;
}

function outline(context, box, mark, line) {
  const { dash, width } = KINDS[mark.kind];
  const thick = line * width;
  const cross = mark.kind === "false" ? Math.min(7, box.width / 3, box.height / 3) : 0;
  for (const [color, stroke] of [[RIM, thick + 2], [mark.color, thick]]) {
    context.strokeStyle = color;
    context.lineWidth = stroke;
    context.setLineDash(dash.map((part) => part * thick));
    context.strokeRect(box.x, box.y, box.width, box.height);
    if (cross) {
      context.setLineDash([]);
      const [x, y] = [box.x + box.width, box.y];
      context.beginPath();
      context.moveTo(x - cross, y - cross);
      context.lineTo(x + cross, y + cross);
      context.moveTo(x - cross, y + cross);
      context.lineTo(x + cross, y - cross);
      context.stroke();
    }
  }
  context.setLineDash([]);
}

function labelSize(context, text, font) {
  return { width: Math.ceil(context.measureText(text).width) + 8, height: font + 6 };
}

function label(context, place, mark, font) {
  if (place.line) {
    const [x1, y1, x2, y2] = place.line;
    for (const [color, width] of [[RIM, 3], [mark.color, 1.25]]) {
      context.strokeStyle = color;
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(x1, y1);
      context.lineTo(x2, y2);
      context.stroke();
    }
  }
  context.fillStyle = mark.color;
  context.fillRect(place.x, place.y, place.width, place.height);
  context.strokeStyle = RIM;
  context.lineWidth = 1;
  context.strokeRect(place.x + 0.5, place.y + 0.5, place.width - 1, place.height - 1);
  context.fillStyle = isLight(mark.color) ? "#000" : "#fff";
  context.textBaseline = "middle";
  context.fillText(mark.text, place.x + 4, place.y + place.height / 2 + 0.5);
}

function isLight(color) {
  const [red, green, blue] = [1, 3, 5].map((start) => parseInt(color.slice(start, start + 2), 16));
  return 0.299 * red + 0.587 * green + 0.114 * blue > 110;
}
