// The grid as a component: pointer and keys, selection by click, range and rectangle, dragging.
import { signal } from "/static/vendor/preact-signals.js";
import { effect } from "/static/vendor/preact-signals-core.js";
import { useEffect, useRef } from "/static/vendor/preact-hooks.js";
import { announcement, filter, isFiltered, leaving, looking, openImage, setFilter, store, USUAL_FILTER, view, viewTrouble } from "../state/app_state.js";
import { onStale } from "../state/load.js";
import { cellSize } from "../state/settings.js";
import { count, number } from "../format.js";
import { html } from "../ui.js";
import { Grid } from "./grid.js";
import { Rail } from "./rail.js";
import { selectByRectangle } from "./rectangle.js";
import { grid } from "./shown_grid.js";
import { chosen, clearSelection, isSelected, itemOf, selectAll, selectedCount, selection, selectRows, toggleRow, withRows } from "./selection.js";

/** Images are dragged now. */
export const dragging = signal(false);

const FEW = 1000;
let anchor = null;

export function Gallery() {
  const shown = view.value;
  if (viewTrouble.value) {
    return html`<div class="empty" role="alert"><h2>${viewTrouble.value.error}</h2><p>${viewTrouble.value.hint}</p></div>`;
  }
  if (!shown) return html`<${Waiting} />`;
  if (!shown.total) return html`<${Empty} />`;
  return html`<div class="gallery"><${GridElement} />${shown.groups.length > 1 ? html`<${Rail} />` : null}<${Looking} /></div>`;
}

/** How far the look at a large store is. */
function Looking() {
  const found = looking.value;
  if (found === null) return null;
  const total = store.value?.totals.images ?? 0;
  // Before the first look the total is that of a few images.
  const known = total > Math.max(found, FEW);
  const words = `Looking at the store: ${number(found)} ${known ? `of ${number(total)} files` : "files so far"}`;
  return html`<div class="looking" role="progressbar" aria-label="Looking at the store" aria-valuetext=${words} aria-valuemin="0" aria-valuemax=${known ? total : null} aria-valuenow=${known ? found : null}>
    <span>${words}</span>${known ? html`<progress max=${total} value=${found}></progress>` : null}
  </div>`;
}

function Waiting() {
  const trouble = store.value?.trouble;
  if (trouble) return html`<div class="empty" role="alert"><h2>${trouble.error}</h2><p>${trouble.hint}</p></div>`;
  return html`<div class="empty"><p>Looking at the store …</p><${Looking} /></div>`;
}

function Empty() {
  if (isFiltered.value) {
    return html`<div class="empty">
      <h2>No image matches</h2>
      <p>${filter.value.text ? `No name has “${filter.value.text}” in it here.` : "Nothing has all that the filters ask for."}</p>
      <button type="button" class="button" onClick=${() => setFilter({ ...USUAL_FILTER, sort: filter.value.sort, order: filter.value.order })}>
        Show all ${number(store.value?.totals?.images)} images
      </button>
    </div>`;
  }
  return html`<div class="empty">
    <h2>No images yet</h2>
    <p>Drop files or folders here, or copy images into a class folder of</p>
    <p><code>${store.value?.store.path}</code></p>
  </div>`;
}

function GridElement() {
  const ref = useRef(null);
  useEffect(() => {
    const made = new Grid(ref.current);
    made.onStale = onStale;
    grid.value = made;
    let before = { view: null, size: 0, filter: null };
    const stop = effect(() => {
      const now = { view: view.value?.view, size: cellSize.value, filter: JSON.stringify(filter.peek()) };
      if (now.view === before.view && now.size === before.size) return;
      made.relayout({ keep: before.filter === null || before.filter === now.filter });
      before = now;
    });
    const redraw = effect(() => {
      selection.value;
      leaving.value;
      store.value?.states;
      store.value?.classes;
      made.refresh();
    });
    return () => {
      stop();
      redraw();
      made.close();
      grid.value = null;
    };
  }, []);
  return html`<div
    ref=${ref}
    class="grid"
    role="grid"
    aria-label="Images"
    aria-multiselectable="true"
    tabindex="0"
    onClick=${onClick}
    onDblClick=${onDoubleClick}
    onKeyDown=${onKeyDown}
    onPointerDown=${(event) => selectByRectangle(event, grid.value)}
    onContextMenu=${onContextMenu}
    onDragStart=${onDragStart}
    onDragEnd=${() => (dragging.value = false)}
    onFocusIn=${onFocusIn}
  >
    <div class="grid-spacer" role="presentation"></div>
    <div class="grid-layer" role="presentation"></div>
  </div>`;
}

function onFocusIn(event) {
  const index = grid.value.indexOf(event.target);
  if (index !== null && index !== grid.value.cursor) {
    grid.value.cursor = index;
    grid.value.refresh();
  }
}

function onClick(event) {
  const { value } = grid;
  const index = value.indexOf(event.target);
  if (index === null) {
    if (event.target === value.scroller || event.target.classList.contains("grid-spacer")) clearSelection();
    return;
  }
  const row = value.rows.get(index);
  if (!row) return;
  value.cursor = index;
  const touch = event.pointerType === "touch";
  if (event.shiftKey) void selectRange(index, event.ctrlKey || event.metaKey);
  else if (event.ctrlKey || event.metaKey || event.target.closest(".mark") || (touch && selectedCount.value)) {
    toggleRow(row);
    anchor = index;
  } else if (touch) openImage.value = { id: row[0], index, hash: row[4] };
  else {
    selectRows([row]);
    anchor = index;
  }
  value.focusCursor();
}

function onDoubleClick(event) {
  const index = grid.value.indexOf(event.target);
  const row = index === null || event.target.closest(".mark") ? null : grid.value.rows.get(index);
  if (row) openImage.value = { id: row[0], index, hash: row[4] };
}

/** A long press selects, where there is no mouse. */
function onContextMenu(event) {
  const index = grid.value.indexOf(event.target);
  const row = index === null ? null : grid.value.rows.get(index);
  if (!row) return;
  event.preventDefault();
  if (!isSelected(row[0])) toggleRow(row);
  anchor = index;
}

let asked = 0;
let waiting = 0;

/** The rows between two positions; null where another key asked for a selection meanwhile: answers may come in another
 * order than the keys. */
async function rowsOfKey(from, to) {
  const mine = (asked += 1);
  waiting += 1;
  const rows = await grid.value.rows.range(from, to).finally(() => (waiting -= 1));
  return mine === asked ? rows : null;
}

async function toggleAt(index) {
  anchor = index;
  const row = grid.value.rows.get(index) ?? (await rowsOfKey(index, index))?.[0];
  if (!row) return;
  toggleRow(row);
  announcement.value = `${isSelected(row[0]) ? "selected" : "not selected"}, ${count(selectedCount.value, "image")} selected`;
}

/** Selects from the last image that was selected alone to this one. */
async function selectRange(index, add) {
  const first = anchor ?? index;
  const rows = await rowsOfKey(Math.min(first, index), Math.max(first, index));
  if (!rows) return;
  if (add || selection.value.all) selection.value = withRows(selection.value, rows);
  else selectRows(rows);
  announcement.value = `${count(selectedCount.value, "image")} selected`;
}

function onDragStart(event) {
  const index = grid.value.indexOf(event.target);
  if (index === null) return;
  dragging.value = true;
  const text = count(selectedCount.value, "image");
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData("text/plain", text);
  event.dataTransfer.setData("application/x-astica-images", JSON.stringify(chosen()).slice(0, 20));
  const picture = document.querySelector(".drag-picture");
  picture.textContent = text;
  event.dataTransfer.setDragImage(picture, -12, -8);
}

function onKeyDown(event) {
  const { value } = grid;
  if (event.altKey) return;
  const control = event.ctrlKey || event.metaKey;
  const page = Math.max(Math.floor(value.height / value.layout.step) - 1, 1);
  const from = value.cursor;
  let to = null;
  if (event.key === "ArrowLeft") to = from - 1;
  else if (event.key === "ArrowRight") to = from + 1;
  else if (event.key === "ArrowUp") to = value.layout.vertical(from, -1);
  else if (event.key === "ArrowDown") to = value.layout.vertical(from, 1);
  else if (event.key === "PageUp" || event.key === "PageDown") {
    to = from;
    const direction = event.key === "PageUp" ? -1 : 1;
    for (let at = 0; at < page; at += 1) to = value.layout.vertical(to, direction);
  } else if (event.key === "Home") to = control ? 0 : from - value.layout.columnOf(from);
  else if (event.key === "End") {
    const line = value.layout.line(value.layout.lineOf(from));
    to = control ? value.total - 1 : line.start + line.count - 1;
  } else if (event.key === " ") {
    event.preventDefault();
    void toggleAt(from);
    return;
  } else if (event.key === "Enter") {
    const row = value.rows.get(from);
    if (row) openImage.value = { id: row[0], index: from, hash: row[4] };
    event.preventDefault();
    return;
  } else return;
  event.preventDefault();
  to = Math.min(Math.max(to, 0), value.total - 1);
  if (event.shiftKey) {
    if (anchor === null || !(selectedCount.value || waiting)) anchor = from;
    value.moveCursor(to);
    void selectRange(to, false);
  } else {
    value.moveCursor(to);
  }
}

/** What keys act on: the selection, else the image that has the focus; null where there is neither. */
export function target() {
  if (selectedCount.value) return { ...chosen(), count: selectedCount.value, ids: selection.value };
  const { value } = grid;
  const focused = value && value.scroller.contains(document.activeElement) ? value.rows.get(value.cursor) : null;
  if (!focused) return null;
  return {
    items: [[focused[0], focused[4]]],
    count: 1,
    ids: { all: false, items: new Map([[focused[0], itemOf(focused)]]), except: new Map() },
  };
}

export { selectAll };
