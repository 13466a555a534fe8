// Brings the store and the view from the command, again whenever one of them has changed.
import { effect, untracked } from "/static/vendor/preact-signals-core.js";
import { connection, filter, leaving, looking, store, view, viewTrouble } from "./app_state.js";
import { ApiError, getJson } from "./api.js";

const RANK_PAUSE = 1000;
let loading = null;
let loadedFor = "";
let latest = null;

const key = () => `${store.value?.run} ${store.value?.revision} ${JSON.stringify(filter.value)}`;

export function takeStore(data) {
  const before = store.value;
  store.value = data;
  looking.value = data.looking ?? null;
  connection.value = "ok";
  if (before && before.run !== data.run) loadedFor = "";
}

export async function loadStore() {
  takeStore(await getJson("/api/store"));
}

/** Loads the view of the filter; the one before is shown until it is there. Ends once no newer load is under way. */
export async function loadView({ again = false } = {}) {
  if (!store.value || store.value.revision === null) return;
  const wanted = key();
  if (again || wanted !== loadedFor) latest = bring(wanted);
  // A newer load ends the one before, and has what that one was asked for.
  for (let awaited = null; awaited !== latest; ) await (awaited = latest);
}

async function bring(wanted) {
  loading?.abort();
  const controller = (loading = new AbortController());
  loadedFor = wanted;
  try {
    const data = await getJson("/api/gallery", filter.value, { signal: controller.signal });
    if (controller.signal.aborted) return;
    view.value = data;
    rankAgain(data);
    viewTrouble.value = null;
    leaving.value = new Map();
  } catch (error) {
    if (error.name === "AbortError") return;
    loadedFor = "";
    if (!(error instanceof ApiError)) throw error;
    if (error.status) viewTrouble.value = { error: error.message, hint: error.hint };
  }
}

let ranking = 0;

/** The numbers of a sort by a model come a while after the view: it is asked for again until they are there. */
function rankAgain(data) {
  clearTimeout(ranking);
  if (data.ranking && !data.ranking.ready) ranking = setTimeout(() => void loadView({ again: true }), RANK_PAUSE);
}

/** A request found that the view is no longer that of the store. */
export async function onStale() {
  await loadView({ again: true });
}

export function startLoading() {
  effect(() => {
    key();
    if (connection.value === "ok") untracked(() => void loadView());
  });
}
