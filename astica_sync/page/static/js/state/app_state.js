// What the page shows now, as signals; and the few functions that change it.
import { computed, signal } from "/static/vendor/preact-signals-core.js";

export const USUAL_FILTER = { class: null, state: "", text: "", problem: "", split: "", version: "", said: "", sort: "class", order: "asc" };

/** The answer of /api/store, null before the first one. */
export const store = signal(null);
/** How many files the look at the store has found, null while there is none. Not in `store`, on whose changes all depends. */
export const looking = signal(null);
export const filter = signal({ ...USUAL_FILTER });
/** The answer of /api/gallery for the filter. */
export const view = signal(null);
/** Why the view cannot be shown: {error, hint}, or null. */
export const viewTrouble = signal(null);
/** "ok", "lost" while the command does not answer, "ended" where the cookie is no longer valid. */
export const connection = signal("ok");
/**
 * The image shown large: {id, index, hash, near}; the index is null where it is not known or the filter leaves the image
 * out, and `near` is where it was then.
 */
export const openImage = signal(null);
/** "push" or "" */
export const panel = signal("");
/** What is asked in a dialog: {kind, ...}, or null. */
export const dialog = signal(null);
export const sidebarOpen = signal(false);
/** Changes under way: image id -> text shown on it. */
export const leaving = signal(new Map());
/** Read out by screen readers. */
export const announcement = signal("");
export const notices = signal([]);

export const classes = computed(() => store.value?.classes ?? []);
export const states = computed(() => store.value?.states ?? []);
export const stateLabel = (name) => states.value.find((state) => state.name === name)?.label ?? name;
export const classTitle = (index) => classes.value[index]?.title ?? "";
/** Files in the store's own folder have no class. */
export const titleText = (title) => title || "no class";

export function setFilter(change) {
  filter.value = { ...filter.value, ...change };
}

export const isFiltered = computed(() => {
  const { class: title, state, text, problem, split, version, said } = filter.value;
  return title !== null || Boolean(state || text || problem || split || version || said);
});

let lastNotice = 0;

/** Shows a message for a while; errors stay until they are closed. */
export function notify(text, { hint = "", error = false, action = null, details = [] } = {}) {
  const notice = { id: ++lastNotice, text, hint, error, action, details };
  notices.value = [...notices.value.slice(-3), notice];
  announcement.value = hint ? `${text}. ${hint}` : text;
  if (!error && !details.length) setTimeout(() => dismiss(notice.id), 8000);
  return notice.id;
}

export function dismiss(id) {
  notices.value = notices.value.filter((notice) => notice.id !== id);
}
