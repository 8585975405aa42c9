// What the server is asked. `connection` says "away" when it does not answer, and "back" when it does again.

export const connection = new EventTarget();
let away = false;

/** The server's own sentence about what it was asked. */
export class Refused extends Error {}

/** The server does not answer. */
export class Away extends Error {}

function tell(isAway) {
  if (away !== isAway) {
    away = isAway;
    connection.dispatchEvent(new Event(isAway ? "away" : "back"));
  }
}

/** The JSON at a path; throws Refused, Away, or what an aborted fetch throws. */
export async function ask(path, signal) {
  let answer;
  let body;
  try {
    answer = await fetch(path, { signal });
    body = await answer.text();
  } catch (error) {
    if (error.name === "AbortError") {
      throw error;
    }
    tell(true);
    throw new Away("The viewer's server does not answer");
  }
  tell(false);
  if (!answer.ok) {
    throw new Refused(sentenceOf(body) || `The server answered ${answer.status} to ${path}`);
  }
  return JSON.parse(body);
}

function sentenceOf(body) {
  try {
    return JSON.parse(body).error;
  } catch {
    return "";
  }
}

export function imageAddress(picture, size, stamp) {
  const query = new URLSearchParams({ source: picture.source, size, v: stamp });
  return `/image/${encodeURIComponent(picture.id)}?${query}`;
}
