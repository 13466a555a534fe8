// Which images are selected: single ones, or all that match the filter but some.
import { computed, signal } from "/static/vendor/preact-signals-core.js";
import { filter, view } from "../state/app_state.js";

const NOTHING = { all: false, items: new Map(), except: new Map() };

/** {all, items, except}: maps of image id -> {hash, name, class}. Replaced at each change, never edited. */
export const selection = signal(NOTHING);

export const selectedCount = computed(() => {
  const { all, items, except } = selection.value;
  return all ? Math.max((view.value?.total ?? 0) - except.size, 0) : items.size;
});

export const itemOf = (row) => ({ hash: row[4], name: row[3], class: row[1], state: row[2] });

export function isSelected(id) {
  const { all, items, except } = selection.value;
  return all ? !except.has(id) : items.has(id);
}

export function clearSelection() {
  if (selectedCount.peek() || selection.peek().all) selection.value = NOTHING;
}

export function selectAll() {
  selection.value = { all: true, items: new Map(), except: new Map() };
}

export function selectItems(entries) {
  selection.value = { all: false, items: new Map(entries), except: new Map() };
}

export function selectRows(rows) {
  selectItems(rows.map((row) => [row[0], itemOf(row)]));
}

/** The selection with these rows added. */
export function withRows(before, rows) {
  if (before.all) {
    const except = new Map(before.except);
    for (const row of rows) except.delete(row[0]);
    return { ...before, except };
  }
  const items = new Map(before.items);
  for (const row of rows) items.set(row[0], itemOf(row));
  return { ...before, items };
}

export function toggleRow(row) {
  const { all, items, except } = selection.value;
  const changed = new Map(all ? except : items);
  if (!changed.delete(row[0])) changed.set(row[0], itemOf(row));
  selection.value = all ? { all, items, except: changed } : { all, items: changed, except };
}

/** How a change names the selected images; each with the hash that was seen. */
export function chosen() {
  const { all, items, except } = selection.value;
  if (all) return { all: { view: view.value.view, except: [...except.keys()] } };
  return { items: [...items].map(([id, item]) => [id, item.hash]) };
}

// "All that match" means the filter that was seen.
let filterBefore = JSON.stringify(filter.peek());
filter.subscribe((value) => {
  const now = JSON.stringify({ ...value, sort: "", order: "" });
  if (now !== filterBefore && selection.peek().all) selection.value = NOTHING;
  filterBefore = now;
});
