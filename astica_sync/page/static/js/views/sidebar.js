// Classes and states with their counts. Each is a filter; a class takes images and files that are dropped on it.
import { useState } from "/static/vendor/preact-hooks.js";
import { classes, filter, setFilter, sidebarOpen, states, store, titleText, view } from "../state/app_state.js";
import { ask, move } from "../changes/actions.js";
import { hotkeys } from "../changes/class_keys.js";
import { filesOf, hasFiles, upload } from "../changes/uploads.js";
import { number, shortNumber } from "../format.js";
import { html, Icon } from "../ui.js";
import { MoreFilters } from "./more_filters.js";
import { dragging, target } from "../gallery/gallery.js";

export function Sidebar() {
  const counts = view.value?.counts;
  const chosen = filter.value.class;
  const all = counts ? Object.values(counts.by_class).reduce((sum, one) => sum + one, 0) : store.value?.totals?.images;
  const pick = (change) => {
    setFilter(change);
    sidebarOpen.value = false;
  };
  return html`<nav class=${`sidebar ${sidebarOpen.value ? "is-open" : ""}`} aria-label="Classes and states">
    <section aria-labelledby="classes-title">
      <header class="side-head">
        <h2 id="classes-title">Classes</h2>
        <button type="button" class="icon-button" aria-label="New class" title="New class" onClick=${() => ask({ kind: "create" })}><${Icon} name="plus" /></button>
      </header>
      <ul class="choices">
        <li><button type="button" class="choice" aria-current=${chosen === null ? "true" : null} onClick=${() => pick({ class: null })}>
          <span class="choice-name">All classes</span><span class="choice-count">${shortNumber(all)}</span>
        </button></li>
        ${classes.value.map((one) => html`<${ClassChoice} key=${one.title} entry=${one} shown=${counts?.by_class[one.title] ?? one.images} chosen=${chosen === one.title} pick=${pick} />`)}
      </ul>
    </section>
    <section aria-labelledby="states-title">
      <header class="side-head"><h2 id="states-title">States</h2></header>
      <ul class="choices">
        ${states.value
          .filter((one) => one.name !== "held-out")
          .filter((one) => store.value?.totals?.by_state?.[one.name] || filter.value.state === one.name)
          .map((one) => {
            const on = filter.value.state === one.name;
            const shown = counts?.by_state[one.name] ?? 0;
            return html`<li key=${one.name}>
              <button type="button" class=${`choice ${shown || on ? "" : "is-none"}`} aria-pressed=${on} data-state=${one.name} onClick=${() => pick({ state: on ? "" : one.name })}>
                <span class="state-mark"><${Icon} name=${one.name} /></span>
                <span class="choice-name">${one.label}</span><span class="choice-count">${shortNumber(shown)}</span>
              </button>
            </li>`;
          })}
      </ul>
    </section>
    <${MoreFilters} pick=${pick} />
    <${Service} />
  </nav>`;
}

function ClassChoice({ entry, shown, chosen, pick }) {
  const [over, setOver] = useState(false);
  const { title } = entry;
  const key = hotkeys.value.get(title);
  const onDrop = async (event) => {
    event.preventDefault();
    event.stopPropagation();
    setOver(false);
    if (hasFiles(event)) await upload(await filesOf(event.dataTransfer), title);
    else {
      const wanted = target();
      if (wanted) await move(wanted, title);
    }
  };
  return html`<li
    class=${`class-choice ${over ? "is-over" : ""} ${dragging.value ? "is-target" : ""}`}
    onDragOver=${(event) => {
      event.preventDefault();
      event.stopPropagation();
      if (!over) setOver(true);
    }}
    onDragLeave=${(event) => !event.currentTarget.contains(event.relatedTarget) && setOver(false)}
    onDrop=${onDrop}
  >
    <button type="button" class="choice" aria-current=${chosen ? "true" : null} title=${title} onClick=${() => pick({ class: title })}>
      ${key ? html`<kbd aria-hidden="true">${key}</kbd>` : html`<span class="no-key"></span>`}
      <span class="choice-name">${titleText(title)}</span><span class="choice-count" aria-label=${`${number(shown)} images`}>${shortNumber(shown)}</span>
    </button>
    ${title && html`<button type="button" class="icon-button class-more" aria-label=${`Rename, merge or change the key of ${title}`} title="Rename, merge, key" onClick=${() => ask({ kind: "class", title })}><${Icon} name="more" /></button>`}
  </li>`;
}

function Service() {
  const data = store.value;
  if (!data) return null;
  return html`<section class="side-foot">
    <p title=${data.service.address}>${data.model.title ? `Model ${data.model.title}` : `Model ${data.model.id}`}</p>
    ${data.unknown ? html`<p class="hint">${data.unknown}</p>` : null}
    ${data.trouble ? html`<p class="hint" role="alert">${data.trouble.error}. ${data.trouble.hint}</p>` : null}
  </section>`;
}
