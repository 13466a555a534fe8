// Changes of files: each is made at once, answers with what was left out and why, and is one step of undo.
import { batch } from "/static/vendor/preact-signals-core.js";
import { announcement, classes, dialog, leaving, notify, store, view } from "../state/app_state.js";
import { post } from "../state/api.js";
import { loadStore, loadView } from "../state/load.js";
import { count } from "../format.js";
import { grid } from "../gallery/shown_grid.js";
import { clearSelection } from "../gallery/selection.js";

let underWay = Promise.resolve();

/** One change after the other, in the order of the keys. */
function inOrder(work) {
  const next = underWay.then(work, work);
  underWay = next.catch(() => {});
  return next;
}

export function complain(error) {
  if (error.status === 404) notify("This version of the command cannot do that", { error: true, hint: "Update it: pip install -U 'astica-sync[page]'" });
  else if (error.status === 409 && error.message === "stale") notify("The store has changed since", { error: true, hint: "Look at the images again and repeat the change." });
  else if (error.status !== undefined) notify(error.message, { error: true, hint: error.hint });
  else throw error;
}

/** Asks for the store and the view again; only in this order the view is that of the change. */
async function lookAgain() {
  await loadStore();
  await loadView({ again: true });
}

function markLeaving(wanted, text) {
  const marks = new Map(leaving.value);
  if (wanted.all) {
    for (const row of shownRows()) if (!wanted.all.except.includes(row[0])) marks.set(row[0], text);
  } else for (const [id] of wanted.items) marks.set(id, text);
  leaving.value = marks;
}

function shownRows() {
  const { value } = grid;
  if (!value) return [];
  const rows = [];
  for (const cell of value.layer.querySelectorAll(".cell:not([hidden])")) {
    const row = value.rows.get(Number(cell.dataset.index));
    if (row) rows.push(row);
  }
  return rows;
}

async function change(body, { text, done }) {
  if (text && (body.items || body.all)) {
    batch(() => {
      markLeaving(body, text);
      clearSelection();
    });
  }
  const focused = grid.value?.scroller.contains(document.activeElement);
  try {
    const answer = await inOrder(() => post("/api/changes", body));
    report(answer, done);
    await lookAgain();
    return answer;
  } catch (error) {
    leaving.value = new Map();
    complain(error);
    await lookAgain().catch(() => {});
    return null;
  } finally {
    if (focused) grid.value?.focusCursor();
  }
}

function report(answer, done) {
  const skipped = answer.skipped ?? [];
  const made = typeof answer.done === "number" ? answer.done : (answer.done?.length ?? 0);
  notify(done(made), {
    action: { label: "Undo", run: undo },
    details: skipped.map((one) => `${one.name ?? one.id}: ${one.reason}`),
    hint: skipped.length ? `${count(skipped.length, "image")} left as they are:` : "",
  });
}

const body = (wanted) => (wanted.all ? { all: wanted.all } : { items: wanted.items });

/** Moves what is selected to a class, asking first where the class is new or nearly another one. */
export async function move(wanted, title) {
  const { count: amount } = wanted;
  return change({ kind: "move", ...body(wanted), to: title }, { text: `→ ${title}`, done: (made) => `${count(made || amount, "image")} moved to ${title}` });
}

export async function remove(wanted) {
  return change({ kind: "delete", ...body(wanted) }, { text: "deleted", done: (made) => `${count(made || wanted.count, "image")} deleted` });
}

/** Brings back the files of images that have none, from the backup. */
export async function putBack(wanted) {
  return change({ kind: "restore", ...body(wanted) }, { text: "put back", done: (made) => `${count(made, "image")} put back` });
}

export const createClass = (title) => change({ kind: "create_class", to: title }, { done: () => `Class ${title} made` });
export const renameClass = (title, to) => change({ kind: "rename_class", class: title, to }, { done: () => `Class ${title} is now ${to}` });
export const mergeClasses = (title, to) => change({ kind: "merge_classes", class: title, to }, { done: () => `Class ${title} merged into ${to}` });

async function step(path, word) {
  try {
    const answer = await inOrder(() => post(path));
    const label = answer.label ?? answer.change?.label ?? "";
    notify(label ? `${word}: ${label}` : word, { details: (answer.skipped ?? []).map((one) => `${one.name ?? one.id}: ${one.reason}`) });
    await lookAgain();
  } catch (error) {
    complain(error);
  }
}

export const undo = () => (store.value?.undo && store.value.undo.undo === null ? void (announcement.value = "Nothing to undo") : step("/api/undo", "Undone"));
export const redo = () => (store.value?.undo && store.value.undo.redo === null ? void (announcement.value = "Nothing to redo") : step("/api/redo", "Done again"));

export async function act(path, data, words) {
  try {
    await post(path, data);
    if (words) announcement.value = words;
    await loadStore();
  } catch (error) {
    complain(error);
  }
}

export const push = (action) => act("/api/push", { action });
export const observe = () => act("/api/observe", {}, "Looked at the service");
export const train = () => act("/api/train", {}, "Training");

export async function refresh() {
  try {
    await post("/api/refresh");
    await lookAgain();
    announcement.value = "Looked at the files again";
  } catch (error) {
    complain(error);
  }
}

export const ask = (question) => (dialog.value = question);
export const knowsClass = (title) => classes.value.some((one) => one.title === title);
export const shownTotal = () => view.value?.total ?? 0;
