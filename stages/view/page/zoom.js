// Zoom and position of a picture, moved by wheel, pointers and keys. A view is `{scale, x, y}`: pixels of the screen a
// pixel of the picture, and where its upper left corner is.

const MARGIN = 28; // room for labels above boxes that touch the picture's edge
const MOST = 40;
export const STEP = 1.25;

export function fitted(area, picture) {
  const scale = Math.max(
    1e-6,
    Math.min((area.width - 2 * MARGIN) / picture.width, (area.height - 2 * MARGIN) / picture.height),
  );
  return { scale, x: (area.width - picture.width * scale) / 2, y: (area.height - picture.height * scale) / 2 };
}

/** The view scaled around a point of the screen, within limits. */
export function scaled(view, factor, point, area, picture) {
  const fit = fitted(area, picture).scale;
  const scale = Math.min(Math.max(view.scale * factor, fit / 2), Math.max(MOST, 2 * fit));
  const real = scale / view.scale;
  return kept({ scale, x: point.x - (point.x - view.x) * real, y: point.y - (point.y - view.y) * real }, area, picture);
}

/** The view moved so that the picture is still in the middle of the area, somewhere. */
export function kept(view, area, picture) {
  const [width, height] = [picture.width * view.scale, picture.height * view.scale];
  return {
    scale: view.scale,
    x: Math.min(Math.max(view.x, area.width / 2 - width), area.width / 2),
    y: Math.min(Math.max(view.y, area.height / 2 - height), area.height / 2),
  };
}

/** The view that shows a box (shares of the picture) in the middle, with what is around it. */
export function closeUp(box, area, picture) {
  const [xmin, ymin, xmax, ymax] = box;
  const [width, height] = [(xmax - xmin) * picture.width, (ymax - ymin) * picture.height];
  const fit = fitted(area, picture).scale;
  const scale = Math.min(Math.max(Math.min(area.width / width, area.height / height) / 3, fit), Math.max(8, fit));
  const [x, y] = [((xmin + xmax) / 2) * picture.width, ((ymin + ymax) / 2) * picture.height];
  return scale === fit ? fitted(area, picture) : { scale, x: area.width / 2 - x * scale, y: area.height / 2 - y * scale };
}

/**
 * Let pointers and wheel on an element change a view.
 *
 * `zoom(factor, point)` and `move(dx, dy)` are called with pixels within the element, `toggle(point)` at a double click.
 */
export function listen(element, { zoom, move, toggle }) {
  const pointers = new Map();
  const pointOf = (event) => {
    const place = element.getBoundingClientRect();
    return { x: event.clientX - place.left, y: event.clientY - place.top };
  };
  element.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 30 : 1;
      zoom(Math.exp(Math.max(-1, Math.min(1, -event.deltaY * lines * 0.002))), pointOf(event));
    },
    { passive: false },
  );
  element.addEventListener("pointerdown", (event) => {
    if (event.button === 0) {
      element.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, pointOf(event));
    }
  });
  element.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) {
      return;
    }
    const now = pointOf(event);
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    pointers.set(event.pointerId, now);
    if (other) {
      const distance = (one) => Math.max(1, Math.hypot(one.x - other.x, one.y - other.y));
      zoom(distance(now) / distance(before), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
      move((now.x - before.x) / 2, (now.y - before.y) / 2);
    } else {
      move(now.x - before.x, now.y - before.y);
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    element.addEventListener(end, (event) => pointers.delete(event.pointerId));
  }
  element.addEventListener("dblclick", (event) => toggle(pointOf(event)));
}
