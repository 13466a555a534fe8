// The rows of the view, brought page by page for what is in sight.
import { getJson } from "../state/api.js";

const PAGE = 400;
const MOST_PAGES = 80;
const MOST_ROWS = 2000;

export class RowCache {
  #pages = new Map();
  #asked = new Map();
  #view = null;

  constructor({ onRows, onStale }) {
    this.onRows = onRows;
    this.onStale = onStale;
  }

  setView(view) {
    if (view?.view === this.#view?.view) return;
    for (const controller of this.#asked.values()) controller.abort();
    this.#asked.clear();
    this.#pages.clear();
    this.#view = view;
  }

  get(index) {
    return this.#pages.get(Math.floor(index / PAGE))?.[index % PAGE];
  }

  /** Asks for what is missing between two positions, and no longer for what is far from them. */
  want(first, last) {
    const from = Math.floor(first / PAGE);
    const to = Math.floor(last / PAGE);
    for (const [page, controller] of this.#asked) {
      if (page < from - 1 || page > to + 1) {
        controller.abort();
        this.#asked.delete(page);
      }
    }
    for (let page = from; page <= to; page += 1) {
      const rows = this.#pages.get(page);
      if (rows) {
        this.#pages.delete(page);
        this.#pages.set(page, rows);
      } else if (!this.#asked.has(page)) void this.#load(page);
    }
  }

  async #load(page) {
    const controller = new AbortController();
    const view = this.#view;
    this.#asked.set(page, controller);
    try {
      const { signal } = controller;
      const answer = await getJson("/api/gallery/rows", { view: view.view, start: String(page * PAGE), count: PAGE }, { signal });
      if (view !== this.#view) return;
      this.#pages.set(page, answer.rows);
      if (this.#pages.size > MOST_PAGES) this.#pages.delete(this.#pages.keys().next().value);
      this.onRows();
    } catch (error) {
      if (error.status === 409 && view === this.#view) this.onStale();
    } finally {
      if (this.#asked.get(page) === controller) this.#asked.delete(page);
    }
  }

  /** All rows between two positions, both included. */
  async range(first, last) {
    const view = this.#view;
    const rows = [];
    for (let at = first; at <= last; ) {
      const known = this.get(at);
      if (known) {
        rows.push(known);
        at += 1;
        continue;
      }
      const count = Math.min(last - at + 1, MOST_ROWS);
      const answer = await getJson("/api/gallery/rows", { view: view.view, start: String(at), count });
      if (!answer.rows.length) break;
      rows.push(...answer.rows);
      at += answer.rows.length;
    }
    return rows;
  }
}
