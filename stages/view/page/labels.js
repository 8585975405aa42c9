// Where the labels of boxes stand: above their box, and never on a small one. Nothing here draws.

const SMALL_AREA = 64 * 64;
const THIN = 32;
const GAP = 8; // between a small box and a label beside it, for the line
const RINGS = 6;
const MOST_LABELS = 300;

/** Whether so little of a box is seen (pixels on the screen) that a label on it would hide what is in it. */
export function isSmall(box) {
  return box.width * box.height < SMALL_AREA || Math.min(box.width, box.height) < THIN;
}

export function overlaps(one, other) {
  return (
    one.x < other.x + other.width &&
    other.x < one.x + one.width &&
    one.y < other.y + other.height &&
    other.y < one.y + one.height
  );
}

/**
 * Places for labels: above the box; where there is no room, inside a large box at its top edge, or below; else beside it, with a line.
 *
 * A label never leaves the area, covers no small box and no other label. One that has no such place near its box is not
 * shown (null). `boxes` are `{x, y, width, height}` in pixels, those outside of the area too; `sizes` the labels'
 * `{width, height}`, null for a box without one; `area` is `{width, height}`. Returns for each box null or
 * `{x, y, width, height, line}`, where `line` is null or `[x1, y1, x2, y2]` from the box to its label.
 */
export function placeLabels(boxes, sizes, area) {
  const seen = boxes.map((box) => clipped(box, area));
  const kept = seen.filter((box) => box !== null && isSmall(box));
  const placed = boxes.map(() => null);
  const order = seen
    .map((box, index) => index)
    .filter((index) => seen[index] !== null && sizes[index] !== null)
    .sort((a, b) => seen[a].width * seen[a].height - seen[b].width * seen[b].height || a - b);
  for (const index of order.slice(0, MOST_LABELS)) {
    const place = firstFree(seen[index], sizes[index], area, kept);
    if (place !== null) {
      placed[index] = place;
      kept.push(place);
    }
  }
  return placed;
}

function clipped(box, area) {
  const x = Math.max(0, box.x);
  const y = Math.max(0, box.y);
  const width = Math.min(area.width, box.x + box.width) - x;
  const height = Math.min(area.height, box.y + box.height) - y;
  return width > 0 && height > 0 ? { x, y, width, height } : null;
}

function firstFree(box, size, area, kept) {
  for (const [x, y, away] of candidates(box, size, area)) {
    const place = { x, y, width: size.width, height: size.height, line: null };
    const inside = x >= 0 && y >= 0 && x + size.width <= area.width && y + size.height <= area.height;
    if (inside && !kept.some((other) => overlaps(place, other))) {
      place.line = away ? lineBetween(box, place) : null;
      return place;
    }
  }
  return null;
}

function* candidates(box, size, area) {
  const right = box.x + box.width;
  const bottom = box.y + box.height;
  const left = Math.max(0, Math.min(box.x, area.width - size.width));
  const flush = Math.max(0, Math.min(right - size.width, area.width - size.width));
  yield [left, box.y - size.height, false];
  yield [flush, box.y - size.height, false];
  if (!isSmall(box) && box.width >= size.width && box.height >= 3 * size.height) {
    yield [left, box.y, false];
    yield [flush, box.y, false];
  }
  yield [left, bottom, false];
  yield [flush, bottom, false];
  for (let ring = 0; ring < RINGS; ring++) {
    const out = GAP + ring * size.height;
    for (const y of [box.y, box.y - size.height - out, bottom + out, (box.y + bottom - size.height) / 2]) {
      yield [right + out, y, true];
      yield [box.x - out - size.width, y, true];
    }
    for (const x of [left, flush, (box.x + right - size.width) / 2]) {
      yield [x, box.y - size.height - out, true];
      yield [x, bottom + out, true];
    }
  }
}

/** The shortest line from a box to its label. */
function lineBetween(box, place) {
  const [x1, x2] = nearest(box.x, box.x + box.width, place.x, place.x + place.width);
  const [y1, y2] = nearest(box.y, box.y + box.height, place.y, place.y + place.height);
  return [x1, y1, x2, y2];
}

/** The nearest ends of two intervals, or the middle of what they share, twice. */
function nearest(from, to, otherFrom, otherTo) {
  if (to < otherFrom) {
    return [to, otherFrom];
  }
  if (otherTo < from) {
    return [from, otherTo];
  }
  const middle = (Math.max(from, otherFrom) + Math.min(to, otherTo)) / 2;
  return [middle, middle];
}
