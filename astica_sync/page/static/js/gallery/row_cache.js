// The rows of the view, brought page by page for what is in sight.
import { getJson } from "../state/api.js";

const PAGE = 400;
const MOST_PAGES = 80;
const MOST_ROWS = 2000;
const MOST_TRIES = 30;
const PAUSE = 100;

export class RowCache {
  #pages = new Map();
  #asked = new Map();
  #view = null;
  #of = "";
  /** The rows of the view before, and those of them that have left: what is in sight stays until the new rows are there. */
  #before = new Map();
  #left = new Map();

  constructor({ onRows, onStale }) {
    this.onRows = onRows;
    this.onStale = onStale;
  }

  /** `of` is what the view is of: rows of other images are not kept. `left` has the ids of images that have left. */
  setView(view, of, left) {
    if (view?.view === this.#view?.view) return;
    for (const controller of this.#asked.values()) controller.abort();
    this.#asked.clear();
    this.#before = new Map(of === this.#of ? [...this.#before, ...this.#pages].slice(-MOST_PAGES) : []);
    this.#left = left;
    this.#pages = new Map();
    this.#view = view;
    this.#of = of;
  }

  /** What is known of the image at a position; until the rows of a new view are there, what was there before. */
  get(index) {
    const page = Math.floor(index / PAGE);
    const rows = this.#pages.get(page);
    if (rows) return rows[index % PAGE];
    const row = this.#before.get(page)?.[index % PAGE];
    return row && !this.#left.has(row[0]) ? row : undefined;
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
      this.#before.delete(page);
      if (this.#pages.size > MOST_PAGES) this.#pages.delete(this.#pages.keys().next().value);
      this.onRows();
    } catch (error) {
      if (error.status === 409 && view === this.#view) this.onStale();
    } finally {
      if (this.#asked.get(page) === controller) this.#asked.delete(page);
    }
  }

  /** All rows between two positions, both included; of the view as it is once the store no longer changes. */
  async range(first, last) {
    for (let tries = 0; ; tries += 1) {
      const view = this.#view;
      try {
        return await this.#rangeOf(view, first, last);
      } catch (error) {
        if (error.status !== 409 || tries === MOST_TRIES) throw error;
        await this.onStale();
        // Another load of the view may be under way, which ended this one.
        if (view === this.#view) await new Promise((go) => setTimeout(go, PAUSE));
      }
    }
  }

  async #rangeOf(view, first, last) {
    const rows = [];
    for (let at = first; at <= last; ) {
      const known = view === this.#view ? this.#pages.get(Math.floor(at / PAGE))?.[at % PAGE] : undefined;
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
