// What is to be drawn on a picture: its boxes and, of a run, its detections, each told right, missed or false.

/** Words of each kind of mark, and its line: dashes in widths of the line (none: solid). */
export const KINDS = {
  truth: { words: "truth", dash: [], width: 1 },
  missed: { words: "missed", dash: [5, 1.5, 1, 1.5], width: 1.5 },
  right: { words: "detection", dash: [4, 2], width: 1 },
  false: { words: "false detection", dash: [1, 1.5], width: 1.5 },
};
export const UNKNOWN_COLOR = "#9fada6";

/**
 * The marks of a picture: `{kind, found, box, class, color, score, difficult, truncated, text}`, those of truth first.
 *
 * Detections under the threshold are left out. A box that one of the others was matched to is `found`; else it is missed,
 * unless it is difficult, as PASCAL VOC counts. In a picture at which no run has looked, no box is missed.
 */
export function marksOf(picture, threshold, colors) {
  const judged = isJudged(picture);
  const shown = judged ? picture.detections.filter((found) => found.score >= threshold) : [];
  const hit = new Set(shown.map((found) => found.truth));
  const truth = picture.boxes.map((box, index) => {
    const missed = judged && !hit.has(index) && !box.difficult;
    return mark(missed ? "missed" : "truth", hit.has(index), box, colors);
  });
  return truth.concat(shown.map((one) => mark(one.matched ? "right" : "false", false, one, colors)));
}

/** Whether the run that is shown has looked at a picture. */
export const isJudged = (picture) => picture.badness !== undefined && picture.badness !== null;

function mark(kind, found, box, colors) {
  const score = box.score ?? null;
  const name = box.class.length > 30 ? box.class.slice(0, 29) + "…" : box.class;
  const told = kind === "missed" || kind === "false" ? `${kind}: ${name}` : name;
  return {
    kind,
    found,
    box: box.box,
    class: box.class,
    color: colors.get(box.class) || UNKNOWN_COLOR,
    score,
    difficult: Boolean(box.difficult),
    truncated: Boolean(box.truncated),
    text: score === null ? told : `${told} ${score.toFixed(2)}`,
  };
}

export const isTruth = (mark) => mark.kind === "truth" || mark.kind === "missed";

/** Width and height of a mark in pixels of the stored picture. */
export function sizeOf(mark, picture) {
  const [xmin, ymin, xmax, ymax] = mark.box;
  return [(xmax - xmin) * picture.width, (ymax - ymin) * picture.height];
}
