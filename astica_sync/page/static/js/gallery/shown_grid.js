// The grid that is shown now, for all that acts on it.
import { signal } from "/static/vendor/preact-signals-core.js";

/** Null where there are no images. */
export const grid = signal(null);
