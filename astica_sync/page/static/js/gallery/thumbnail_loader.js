// Thumbnails by content hash: at most six under way, those in sight first, those out of sight cancelled.
import { request } from "../state/api.js";

const MOST_UNDER_WAY = 6;
const MOST_KEPT = 1200;

export class ThumbnailLoader {
  #kept = new Map();
  #underWay = new Map();
  #wanted = [];

  /** `onReady(hash)` is called when one has come or cannot come. */
  constructor(onReady) {
    this.onReady = onReady;
  }

  /** {url} or {error}, undefined while it is not there. */
  get(hash) {
    return this.#kept.get(hash);
  }

  /** What is in sight now, the most important first. */
  show(hashes) {
    this.#wanted = hashes;
    const wanted = new Set(hashes);
    for (const [hash, controller] of this.#underWay) {
      if (!wanted.has(hash)) {
        controller.abort();
        this.#underWay.delete(hash);
      }
    }
    for (const hash of hashes) {
      const known = this.#kept.get(hash);
      if (known) {
        this.#kept.delete(hash);
        this.#kept.set(hash, known);
      }
    }
    this.#next();
    this.#forget(wanted);
  }

  #next() {
    for (const hash of this.#wanted) {
      if (this.#underWay.size >= MOST_UNDER_WAY) return;
      if (hash && !this.#kept.has(hash) && !this.#underWay.has(hash)) void this.#load(hash);
    }
  }

  async #load(hash) {
    const controller = new AbortController();
    this.#underWay.set(hash, controller);
    let found;
    try {
      const response = await request(`/thumbnails/${hash}`, { signal: controller.signal });
      found = { url: URL.createObjectURL(await response.blob()) };
    } catch (error) {
      if (error.name === "AbortError" || !error.status || error.status >= 499) found = null;
      else found = { error: error.message };
    }
    if (this.#underWay.get(hash) === controller) this.#underWay.delete(hash);
    if (found && !this.#kept.has(hash)) {
      this.#kept.set(hash, found);
      this.onReady(hash);
    }
    if (found || controller.signal.aborted) this.#next();
  }

  #forget(wanted) {
    if (this.#kept.size <= MOST_KEPT) return;
    for (const [hash, known] of this.#kept) {
      if (this.#kept.size <= MOST_KEPT) return;
      if (wanted.has(hash)) continue;
      if (known.url) URL.revokeObjectURL(known.url);
      this.#kept.delete(hash);
    }
  }
}
