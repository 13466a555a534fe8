// What is selected, and what can be done with it.
import { count } from "../format.js";
import { ask, putBack, remove } from "../changes/actions.js";
import { html, Icon } from "../ui.js";
import { filter, states, view } from "../state/app_state.js";
import { selectAll, target } from "../gallery/gallery.js";
import { clearSelection, selectedCount, selection } from "../gallery/selection.js";

const WITHOUT_FILE = ["backup-only", "to-remove"];
const MOST_LOOKED_AT = 2000;

/** Whether there are images to put back among the selected ones. */
function hasLost() {
  if (WITHOUT_FILE.includes(filter.value.state)) return true;
  let left = MOST_LOOKED_AT;
  for (const item of selection.value.items.values()) {
    if (WITHOUT_FILE.includes(states.value[item.state]?.name)) return true;
    if (--left === 0) return false;
  }
  return false;
}

export function SelectionBar() {
  const amount = selectedCount.value;
  if (!amount) return null;
  const total = view.value?.total ?? 0;
  return html`<div class="selection-bar" role="toolbar" aria-label="Selected images">
    <span class="selection-count"><b>${count(amount, "image")}</b> selected</span>
    ${!selection.value.all && amount < total
      ? html`<button type="button" class="button button-quiet" title="Ctrl A" onClick=${selectAll}>All ${count(total, "image")}</button>`
      : null}
    ${hasLost() ? html`<button type="button" class="button" title="R" onClick=${() => putBack(target())}><${Icon} name="undo" />Put back</button>` : null}
    <button type="button" class="button" title="M, or the key of a class" onClick=${() => ask({ kind: "palette", text: "", wanted: target() })}><${Icon} name="move" />Move to …</button>
    <button type="button" class="button" title="Delete" onClick=${() => remove(target())}><${Icon} name="trash" />Delete</button>
    <button type="button" class="icon-button" aria-label="Clear the selection" title="Esc" onClick=${clearSelection}><${Icon} name="close" /></button>
  </div>`;
}
