// The pictures of a selection, asked for in pages as they are looked at; the least recently seen pages are forgotten.

import { Away, ask } from "./server.js";

export const PAGE = 200;
const KEPT = 40;

export class Pages {
  /** `arrived()` is called whenever there is more to show, `refused(sentence)` when the server refuses the selection. */
  constructor(query, arrived, refused) {
    this.query = query;
    this.total = null;
    this.boxes = 0;
    this._arrived = arrived;
    this._refused = refused;
    this._pages = new Map();
    this._asked = new Map();
  }

  get(index) {
    const page = this._pages.get(Math.floor(index / PAGE));
    return page && page[index % PAGE];
  }

  /** Ask for what is missing of these indices, and no longer for pages far from them. */
  want(first, last) {
    const from = Math.max(0, Math.floor(first / PAGE));
    const to = Math.max(from, Math.floor(Math.min(last, (this.total ?? 1) - 1) / PAGE));
    for (const [number, abort] of this._asked) {
      if (number < from - 1 || number > to + 1) {
        abort.abort();
        this._asked.delete(number);
      }
    }
    for (let number = from; number <= to; number++) {
      this._touch(number);
    }
  }

  close() {
    for (const abort of this._asked.values()) {
      abort.abort();
    }
    this._asked.clear();
  }

  _touch(number) {
    const page = this._pages.get(number);
    if (page) {
      this._pages.delete(number);
      this._pages.set(number, page);
    } else if (!this._asked.has(number)) {
      const abort = new AbortController();
      this._asked.set(number, abort);
      this._load(number, abort);
    }
  }

  async _load(number, abort) {
    const query = new URLSearchParams(this.query);
    query.set("offset", number * PAGE);
    query.set("limit", PAGE);
    try {
      const answer = await ask(`/api/pictures?${query}`, abort.signal);
      this.total = answer.total;
      this.boxes = answer.boxes;
      this._pages.set(number, answer.items);
      for (const oldest of [...this._pages.keys()].slice(0, Math.max(0, this._pages.size - KEPT))) {
        this._pages.delete(oldest);
      }
      this._asked.delete(number);
      this._arrived();
    } catch (error) {
      if (this._asked.get(number) === abort) {
        this._asked.delete(number);
      }
      if (error.name !== "AbortError" && !(error instanceof Away)) {
        this._refused(error.message);
      }
    }
  }
}
