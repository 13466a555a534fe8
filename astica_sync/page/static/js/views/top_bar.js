// The bar at the top: where we are, search, order, undo, and what a push costs.
import { connection, filter, panel, setFilter, sidebarOpen, store, view } from "../state/app_state.js";
import { CELL_SIZES, cellSize, nextTheme, theme } from "../state/settings.js";
import { ask, redo, undo } from "../changes/actions.js";
import { SORTS, sortBy } from "../changes/commands.js";
import { hasWork, number, price } from "../format.js";
import { html, Icon, IconButton } from "../ui.js";
import { grid } from "../gallery/shown_grid.js";

const THEMES = { system: "Theme of the system", light: "Light theme", dark: "Dark theme" };
let typed = 0;

export function TopBar() {
  const data = store.value;
  const { text, sort, order, class: title } = filter.value;
  const total = view.value?.total;
  const search = (event) => {
    clearTimeout(typed);
    const { value } = event.target;
    typed = setTimeout(() => setFilter({ text: value }), 180);
  };
  return html`<header class="top-bar">
    <div class="place">
      <button type="button" class="icon-button only-narrow" aria-label="Classes and states" aria-expanded=${sidebarOpen.value} onClick=${() => (sidebarOpen.value = !sidebarOpen.value)}>
        <${Icon} name="menu" />
      </button>
      <div class="place-text">
        <h1 title=${data?.store.path}>${title ?? data?.store.name ?? "astica-sync"}</h1>
        <p><span role="status">${total === undefined ? "" : `${number(total)} ${total === 1 ? "image" : "images"}`}</span>${data?.service?.sandbox ? html` <span class="pill" title=${data.service.address}>sandbox</span>` : null}</p>
      </div>
    </div>
    <div class="search">
      <${Icon} name="search" />
      <input id="search" type="search" placeholder="Search in names" aria-label="Search in names" value=${text} onInput=${search} />
      <kbd aria-hidden="true">/</kbd>
    </div>
    <div class="order">
      <label class="for-readers" for="sort">Order</label>
      <select id="sort" value=${sort} onChange=${(event) => sortBy(event.target.value)}>
        ${Object.entries(SORTS).map(([name, label]) => html`<option key=${name} value=${name}>${label}</option>`)}
      </select>
      <${IconButton} icon="up-down" label=${order === "asc" ? "Ascending; change to descending" : "Descending; change to ascending"} aria-pressed=${order === "desc"} onClick=${() => setFilter({ order: order === "asc" ? "desc" : "asc" })} />
      <input
        type="range"
        class="size"
        aria-label="Size of the images"
        min="0"
        max=${CELL_SIZES.length - 1}
        value=${Math.max(CELL_SIZES.indexOf(cellSize.value), 0)}
        onInput=${(event) => (cellSize.value = CELL_SIZES[event.target.value])}
      />
    </div>
    <div class="tools">
      <${IconButton} icon="undo" label=${data?.undo?.undo ? `Undo: ${data.undo.undo}` : "Undo"} keys="Ctrl Z" disabled=${!data?.undo?.undo} onClick=${undo} />
      <${IconButton} icon="redo" label=${data?.undo?.redo ? `Redo: ${data.undo.redo}` : "Redo"} keys="Ctrl Shift Z" disabled=${!data?.undo?.redo} onClick=${redo} />
      <${IconButton} icon="versions" label="Versions" keys="V" aria-pressed=${panel.value === "versions"} onClick=${() => (panel.value = panel.value === "versions" ? "" : "versions")} />
      <${IconButton} icon="camera" label="What would it say?" keys="W" aria-pressed=${panel.value === "predict"} onClick=${() => (panel.value = panel.value === "predict" ? "" : "predict")} />
      <${IconButton} icon="command" label="All commands" keys="Ctrl K" onClick=${() => ask({ kind: "palette", text: "" })} />
      <${IconButton} icon="help" label="List of keys" keys="?" class="icon-button only-wide" onClick=${() => ask({ kind: "keys" })} />
      <${IconButton} icon="theme" label=${THEMES[theme.value]} onClick=${nextTheme} />
    </div>
    <${PushButton} data=${data} />
  </header>`;
}

function PushButton({ data }) {
  const running = ["starting", "observing", "sending"].includes(data?.push?.state);
  const asking = data?.push?.state === "asking";
  const words = running ? `${number(data.push.done)} of ${number(data.push.total)}` : asking ? "a question" : data?.price ? price(data.price) : "price not known";
  const unknown = Boolean(data) && !data.price && !running && !asking;
  return html`<button
    type="button"
    class=${`push-button ${unknown ? "is-unknown" : ""} ${hasWork(data?.price) && !running ? "has-work" : ""} ${data?.price?.guard || asking ? "has-question" : ""}`}
    aria-expanded=${panel.value === "push"}
    disabled=${!data || connection.value !== "ok"}
    onClick=${() => {
      panel.value = panel.value === "push" ? "" : "push";
      if (!panel.value) grid.value?.focusCursor();
    }}
  >
    <${Icon} name=${data?.price?.guard || asking ? "problem" : hasWork(data?.price) ? "new" : unknown ? "doubtful" : "on-service"} />
    <span><b>${running ? "Pushing" : "Push"}</b><span class="push-price">${words}</span></span>
  </button>`;
}
