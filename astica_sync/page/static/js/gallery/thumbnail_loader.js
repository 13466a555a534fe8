// Thumbnails by content hash, each at an address whose bytes never change, so that the browser's cache keeps them: at most
// six under way, those in sight first, those out of sight cancelled.
import { request } from "../state/api.js";

const MOST_UNDER_WAY = 6;
/** So many stay in memory, of which an element shows one at once and without a request. */
const MOST_KEPT = 600;

export const thumbnailUrl = (hash) => `/thumbnails/${hash}`;

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
    for (const [hash, image] of this.#underWay) {
      if (!wanted.has(hash)) this.#cancel(hash, image);
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

  #cancel(hash, image) {
    this.#underWay.delete(hash);
    image.onload = image.onerror = null;
    image.src = "";
  }

  #next() {
    for (const hash of this.#wanted) {
      if (this.#underWay.size >= MOST_UNDER_WAY) return;
      if (hash && !this.#kept.has(hash) && !this.#underWay.has(hash)) this.#load(hash);
    }
  }

  #load(hash) {
    const image = new Image();
    // Beside the stream of events Chromium holds back images of usual priority, at times for 15 seconds.
    image.fetchPriority = "high";
    this.#underWay.set(hash, image);
    image.onload = () => this.#end(hash, image, { url: image.src, image });
    image.onerror = async () => {
      const found = await whyNot(hash);
      if (this.#underWay.get(hash) === image) this.#end(hash, image, found);
    };
    image.src = thumbnailUrl(hash);
  }

  #end(hash, image, found) {
    image.onload = image.onerror = null;
    this.#underWay.delete(hash);
    if (!found) return;
    this.#kept.set(hash, found);
    this.onReady(hash);
    this.#next();
  }

  #forget(wanted) {
    if (this.#kept.size <= MOST_KEPT) return;
    for (const hash of this.#kept.keys()) {
      if (this.#kept.size <= MOST_KEPT) return;
      if (!wanted.has(hash)) this.#kept.delete(hash);
    }
  }
}

/** An element does not say why it has no image: {error}, or null where that may pass. */
async function whyNot(hash) {
  try {
    await request(thumbnailUrl(hash));
    return null;
  } catch (error) {
    return !error.status || error.status >= 499 ? null : { error: error.message };
  }
}
