// What the filters other than class and state have: the split, the problems, and one version's data. Asked for apart from
// the view, which is not to wait for them.
import { effect, signal, untracked } from "/static/vendor/preact-signals-core.js";
import { filter, store } from "./app_state.js";
import { getJson } from "./api.js";

/** {split, problem, version}, null before the first answer. */
export const counts = signal(null);
/** The versions whose data is known, the newest first: {number, name}. */
export const knownVersions = signal([]);
/** The number of the version that the filters of the side are about; 0 for the newest. */
export const chosenVersion = signal(0);

/** The number in a filter such as "@3" or "since-@3". */
export const numberIn = (text) => Number(/@(\d+)/.exec(text)?.[1] ?? 0);

export const shownVersion = () => numberIn(filter.value.version) || chosenVersion.value || knownVersions.value[0]?.number || 0;

let asking = null;

async function ask() {
  asking?.abort();
  const controller = (asking = new AbortController());
  const of = shownVersion();
  try {
    counts.value = await getJson("/api/gallery/counts", { ...filter.value, of: of ? `@${of}` : "" }, { signal: controller.signal });
  } catch (error) {
    if (error.name !== "AbortError") counts.value = null;
  }
}

async function askVersions() {
  try {
    const { versions } = await getJson("/api/versions");
    knownVersions.value = versions.filter((one) => one.known);
  } catch {
    // The panel of versions says why.
  }
}

/** Follows the filter, the store and the trainings, until the function that it returns is called. */
export function followCounts() {
  const stops = [
    effect(() => {
      store.value?.training?.state;
      store.value?.push?.state;
      untracked(() => void askVersions());
    }),
    effect(() => {
      const ready = store.value?.revision;
      filter.value;
      chosenVersion.value;
      knownVersions.value;
      if (ready != null) untracked(() => void ask());
    }),
  ];
  return () => stops.forEach((stop) => stop());
}
