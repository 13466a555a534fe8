// Files and folders that are dropped or pasted become images of a class. A drop is one step of undo.
import { signal } from "/static/vendor/preact-signals.js";
import { dialog, filter, notify } from "../state/app_state.js";
import { request } from "../state/api.js";
import { loadStore, loadView } from "../state/load.js";
import { count } from "../format.js";
import { undo } from "./actions.js";

const AT_ONCE = 3;
/** {done, total} while files are taken, else null. */
export const uploading = signal(null);

/** Where in the dropped folders a file was: the names of the folders, then its own. */
const paths = new WeakMap();

export const hasFiles = (event) => event.dataTransfer?.types.includes("Files") ?? false;

/** All files of a drop, those in folders too. Must be called while the event is handled. */
export async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  if (!entries.some(Boolean)) return [...transfer.files];
  const found = [];
  for (const entry of entries) if (entry) await walk(entry, found);
  return found;
}

async function walk(entry, found) {
  if (entry.name.startsWith(".")) return;
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    paths.set(file, entry.fullPath.split("/").slice(1));
    found.push(file);
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!part.length) return;
    for (const one of part) await walk(one, found);
  }
}

/**
 * The classes that the folders of a drop are, by file: the dropped folders, or those in the one that was dropped. null
 * where a file was in none of them.
 */
export function classesOfFolders(files) {
  const places = files.map((file) => paths.get(file) ?? []);
  const isWhole = places.every((place) => place.length > 2 && place[0] === places[0][0]);
  const titles = places.map((place) => (place.length > 1 ? place[isWhole ? 1 : 0].normalize("NFC") : null));
  return titles.includes(null) ? null : new Map(files.map((file, at) => [file, titles[at]]));
}

/** Puts files into a class, or each into its own by a Map; asks for the class where none is meant. */
export async function upload(files, into = filter.peek().class) {
  if (!files.length) return;
  if (into === null) {
    dialog.value = { kind: "upload", files };
    return;
  }
  const titleOf = (file) => (into instanceof Map ? into.get(file) : into);
  const titles = new Set(files.map(titleOf));
  const words = titles.size === 1 ? [...titles][0] : count(titles.size, "class", "classes");
  const batch = crypto.randomUUID();
  const failures = [];
  let made = 0;
  const queue = [...files];
  uploading.value = { done: 0, total: files.length };
  const work = async () => {
    for (let file = queue.shift(); file; file = queue.shift()) {
      try {
        await request(`/api/uploads?class=${encodeURIComponent(titleOf(file))}`, {
          method: "POST",
          headers: { "X-Astica-Page": "1", "X-File-Name": encodeURIComponent(file.name), "X-Change-Batch": batch, "Content-Type": "application/octet-stream" },
          body: file,
        });
        made += 1;
      } catch (error) {
        failures.push(`${file.name}: ${error.message}`);
        if (error.status === 0) queue.length = 0;
      }
      uploading.value = { done: made + failures.length, total: files.length };
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  uploading.value = null;
  notify(`${count(made, "image")} added to ${words}`, {
    error: !made && failures.length > 0,
    action: made ? { label: "Undo", run: undo } : null,
    hint: failures.length ? `${count(failures.length, "file")} not taken:` : "",
    details: failures,
  });
  try {
    await loadStore();
    await loadView({ again: true });
  } catch {
    // The lost connection is shown by itself.
  }
}

export function onPaste(event) {
  if (event.target.closest?.("input, textarea") || dialog.peek()) return;
  const files = [...(event.clipboardData?.files ?? [])];
  if (!files.length) return;
  event.preventDefault();
  void upload(files);
}
