// All commands in one list: it feeds the keys, the palette and the list of keys.
import { classes, dialog, filter, isFiltered, notify, openImage, panel, setFilter, sidebarOpen, states, USUAL_FILTER } from "../state/app_state.js";
import { knownVersions } from "../state/filter_counts.js";
import { changeCellSize, nextTheme } from "../state/settings.js";
import { selectAll, target } from "../gallery/gallery.js";
import { grid } from "../gallery/shown_grid.js";
import { clearSelection, selectedCount } from "../gallery/selection.js";
import { ask, move, observe, push, putBack, redo, refresh, remove, train, undo } from "./actions.js";
import { classOfKey } from "./class_keys.js";

export const SORTS = { class: "Class", date: "Date", name: "Name", size: "Size", confidence: "Confidence", suspicion: "Suspicion" };
export const SPLITS = { store: "in the store", "held-out": "held out" };

/** The most suspicious images are wanted first. */
export const sortBy = (sort) => setFilter(sort === "suspicion" ? { sort, order: "desc" } : { sort });

function neighbourClass(step) {
  const titles = [null, ...classes.value.map((one) => one.title)];
  const at = titles.indexOf(filter.value.class);
  setFilter({ class: titles[(at + step + titles.length) % titles.length] });
}

/** Runs something on the selection or the focused image, or says what is missing. */
function onTarget(run) {
  const wanted = target();
  if (wanted) return run(wanted);
  notify("No image is selected", { hint: "Click one, or go to it with the arrow keys and press space." });
  return null;
}

function escape() {
  if (selectedCount.value) clearSelection();
  else if (panel.value) panel.value = "";
  else if (sidebarOpen.value) sidebarOpen.value = false;
}

/** {id, title, keys: what is shown, match(event), run, group} */
const key = (name, { control = false, shift = null } = {}) => (event) =>
  event.key.toLowerCase() === name.toLowerCase() &&
  (event.ctrlKey || event.metaKey) === control &&
  !event.altKey &&
  (shift === null || event.shiftKey === shift);

export const COMMANDS = [
  { id: "palette", title: "All commands", keys: "Ctrl K or :", group: "General", match: (e) => key("k", { control: true })(e) || key(":")(e), run: () => ask({ kind: "palette", text: "" }) },
  { id: "keys", title: "List of keys", keys: "?", group: "General", match: key("?"), run: () => ask({ kind: "keys" }) },
  { id: "search", title: "Search in names", keys: "/", group: "General", match: key("/"), run: () => document.querySelector("#search")?.focus() },
  { id: "undo", title: "Undo", keys: "Ctrl Z", group: "Changes", match: key("z", { control: true, shift: false }), run: undo },
  { id: "redo", title: "Redo", keys: "Ctrl Shift Z", group: "Changes", match: (e) => key("z", { control: true, shift: true })(e) || key("y", { control: true })(e), run: redo },
  { id: "move", title: "Move to a class …", keys: "M", group: "Changes", match: key("m"), run: () => onTarget((wanted) => ask({ kind: "palette", text: "", wanted })) },
  { id: "delete", title: "Delete", keys: "Delete", group: "Changes", match: key("Delete"), run: () => onTarget(remove) },
  { id: "restore", title: "Put back from the backup", keys: "R", group: "Changes", match: key("r"), run: () => onTarget(putBack) },
  { id: "create", title: "New class …", keys: "", group: "Changes", match: null, run: () => ask({ kind: "create" }) },
  { id: "all", title: "Select all that match", keys: "Ctrl A", group: "Selection", match: key("a", { control: true }), run: selectAll },
  { id: "none", title: "Clear the selection", keys: "Esc", group: "Selection", match: key("Escape"), run: escape },
  { id: "everything", title: "Show all images", keys: "", group: "View", match: null, when: () => isFiltered.value, run: () => setFilter(USUAL_FILTER) },
  { id: "next-class", title: "Next class", keys: "]", group: "View", match: key("]"), run: () => neighbourClass(1) },
  { id: "previous-class", title: "Previous class", keys: "[", group: "View", match: key("["), run: () => neighbourClass(-1) },
  { id: "larger", title: "Larger images", keys: "+", group: "View", match: (e) => key("+")(e) || key("=")(e), run: () => changeCellSize(1) },
  { id: "smaller", title: "Smaller images", keys: "-", group: "View", match: key("-"), run: () => changeCellSize(-1) },
  { id: "grid", title: "Go to the images", keys: "G", group: "View", match: key("g"), run: () => grid.value?.focusCursor() },
  { id: "push-panel", title: "Push: queue and price", keys: "P", group: "Push", match: key("p"), run: () => (panel.value = panel.value === "push" ? "" : "push") },
  { id: "versions", title: "Versions: scores, data, bring one back", keys: "V", group: "Model", match: key("v"), run: () => (panel.value = panel.value === "versions" ? "" : "versions") },
  { id: "predict", title: "What would it say? Camera, preview, what to look at first", keys: "W", group: "Model", match: key("w"), run: () => (panel.value = panel.value === "predict" ? "" : "predict") },
  { id: "queues", title: "Sort out: near duplicates, several classes, leaks", keys: "Q", group: "Model", match: key("q"), run: () => ((panel.value = "predict"), showQueues()) },
  { id: "push", title: "Start the push", keys: "", group: "Push", match: null, run: () => ((panel.value = "push"), push("start")) },
  { id: "train", title: "Start a training", keys: "", group: "Push", match: null, run: () => ((panel.value = "push"), train()) },
  { id: "observe", title: "Look at the service now", keys: "", group: "Push", match: null, run: observe },
  { id: "refresh", title: "Look at the files again", keys: "", group: "View", match: null, run: refresh },
  { id: "theme", title: "Change the theme: system, light, dark", keys: "", group: "General", match: null, run: nextTheme },
];

/** Keys inside the grid, for the list of keys. */
export const GRID_KEYS = [
  ["Arrows, Page up, Page down", "Go to another image"],
  ["Home, End", "First and last image of the line; with Ctrl, of all"],
  ["Space", "Select the image, or not"],
  ["Shift with arrows", "Select from the last one to this one"],
  ["Enter", "Show the image large"],
];
export const POINTER_WAYS = [
  ["Click", "Select one image"],
  ["Ctrl click, or its round mark", "Add one image, or take it out"],
  ["Shift click", "Select all from the last one to this one"],
  ["Drag over images", "Select what the rectangle touches"],
  ["Drag selected images onto a class", "Move them"],
  ["Double click", "Show the image large"],
  ["Long press on a touch screen", "Select"],
];
export const IMAGE_KEYS = [
  ["Left, Right", "The image before, the next one"],
  ["+, -, 0", "Zoom in, zoom out, whole image"],
  ["Arrows while zoomed in", "Move the image"],
  ["I", "Details"],
  ["Esc", "Back to all images"],
];

export const QUEUE_KEYS = [
  ["Arrows", "The image before, the next one, another group"],
  ["1 … 9, 0", "Move the image to the class with this key"],
  ["Delete", "Delete the image"],
  ["O", "Only this image: delete the others of the group"],
  ["K", "Keep all of the group; it is not asked about again"],
  ["Enter", "Show the image large"],
];

/** Goes to the queues once the panel is there. */
function showQueues() {
  requestAnimationFrame(() => {
    const place = document.querySelector("#queues .queue-tile") ?? document.querySelector("#queues button") ?? document.querySelector("#queues");
    place?.scrollIntoView({ block: "nearest" });
    place?.focus();
  });
}

const typing = (element) => element.closest?.("input, textarea, select, [contenteditable]");

/** Carries out the command of a key; for the window. */
export function onKey(event) {
  if (event.defaultPrevented || event.isComposing || dialog.value || openImage.value) return;
  const inText = typing(event.target);
  if (inText && !(event.ctrlKey && event.key.toLowerCase() === "k") && event.key !== "Escape") return;
  if (inText && event.key === "Escape") {
    event.target.blur();
    grid.value?.focusCursor();
    return;
  }
  const command = COMMANDS.find((one) => one.match?.(event));
  if (command) {
    event.preventDefault();
    command.run();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const title = classOfKey(event.key);
  if (title !== null) {
    event.preventDefault();
    onTarget((wanted) => move(wanted, title));
  }
}

/** What the palette offers besides the commands: classes to show, states, orders. */
export function viewCommands() {
  return [
    ...classes.value.map((one) => ({ id: `class-${one.title}`, title: `Show class ${one.title}`, run: () => setFilter({ class: one.title }) })),
    ...states.value.map((one) => ({ id: `state-${one.name}`, title: `Show ${one.label}`, run: () => setFilter({ state: one.name }) })),
    ...Object.entries(SPLITS).map(([split, label]) => ({ id: `split-${split}`, title: `Show images ${label}`, run: () => setFilter({ split }) })),
    { id: "problems", title: "Show all problems", run: () => setFilter({ problem: "1" }) },
    ...knownVersions.value.flatMap(({ number }) => [
      { id: `in-${number}`, title: `Show images in the data of @${number}`, run: () => setFilter({ version: `@${number}` }) },
      { id: `since-${number}`, title: `Show images changed since @${number}`, run: () => setFilter({ version: `since-@${number}` }) },
    ]),
    ...Object.entries(SORTS).map(([sort, label]) => ({ id: `sort-${sort}`, title: `Sort by ${label.toLowerCase()}`, run: () => sortBy(sort) })),
  ];
}
