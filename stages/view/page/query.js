// What the address says: which picture, and the filter, in the names that the server's API has for it.

const SEVERAL = ["source", "split", "class", "finding", "size"];
const SINGLE = ["name", "truncated", "difficult", "empty", "boxes_min", "boxes_max", "run", "sort"];
const NO_FILTER = ["run", "sort"];

/** The known parts of a query, always in the same order, without those that say nothing: URLSearchParams. */
export function canonical(query) {
  const found = new URLSearchParams(query);
  const kept = new URLSearchParams();
  for (const name of SEVERAL) {
    for (const value of new Set(found.getAll(name))) {
      kept.append(name, value);
    }
  }
  for (const name of SINGLE) {
    const value = found.get(name);
    if (value && !(name === "sort" && (value === "order" || (value === "worst" && !found.get("run"))))) {
      kept.set(name, value);
    }
  }
  return kept;
}

/** The query with `name` set to `value`, or without it if that is empty. */
export function changed(query, name, value) {
  const next = new URLSearchParams(query);
  next.set(name, value);
  return canonical(next);
}

/** The query with one value of a name that may have several put in or taken out. */
export function toggled(query, name, value) {
  const values = query.getAll(name);
  const next = new URLSearchParams(query);
  next.delete(name);
  for (const one of values.includes(value) ? values.filter((other) => other !== value) : [...values, value]) {
    next.append(name, one);
  }
  return canonical(next);
}

/** The query without any filter: run and sort are no filters. */
export function cleared(query) {
  return canonical([...query].filter(([name]) => NO_FILTER.includes(name)));
}

export const filters = (query) => [...query.keys()].filter((name) => !NO_FILTER.includes(name)).length;

/** `{"id", "of", "query"}`: the picture (null: the grid), the source that it is of, the filter. */
export function whereOf(location) {
  const found = location.pathname.match(/^\/picture\/([^/]+)$/);
  return {
    id: found ? decodeURIComponent(found[1]) : null,
    of: new URLSearchParams(location.search).get("of"),
    query: canonical(location.search),
  };
}

export function gridAddress(query) {
  return query.size ? `/?${query}` : "/";
}

export function pictureAddress(picture, query) {
  const all = new URLSearchParams(query);
  all.set("of", picture.source);
  return `/picture/${encodeURIComponent(picture.id)}?${all}`;
}
