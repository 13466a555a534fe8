// What a version took for what: a table whose cells open their images in the gallery.
import { useEffect, useState } from "/static/vendor/preact-hooks.js";
import { filter, notify, setFilter, titleText, USUAL_FILTER, view } from "../state/app_state.js";
import { getJson } from "../state/api.js";
import { complain } from "../changes/actions.js";
import { count, number } from "../format.js";
import { html } from "../ui.js";

const WHERE = { "held-out": "held-out images", store: "images of the store" };
const labelText = (label) => label || "(no answer)";

export function Mistakes({ version }) {
  const [open, setOpen] = useState(false);
  const [found, setFound] = useState(null);
  const [split, setSplit] = useState("");
  const name = `@${version.number}`;
  useEffect(() => {
    if (open) getJson("/api/versions/confusion", { version: name }).then(setFound, complain);
  }, [open, view.value?.revision]);
  if (!version.name) return null;
  const asked = Object.keys(WHERE).filter((one) => found?.[one].total);
  const shown = asked.includes(split) ? split : asked[0];
  return html`<div class="mistakes">
    <div class="buttons"><button type="button" class="button button-quiet" aria-expanded=${open} onClick=${() => setOpen(!open)}>What it takes for what</button></div>
    ${open && found && !shown ? html`<p class="hint">${name} was not asked about any of these images yet: astica-sync evaluate DIR, or detect.</p>` : null}
    ${open && asked.length > 1 ? html`<select aria-label="Images" value=${shown} onChange=${(event) => setSplit(event.target.value)}>${asked.map((one) => html`<option key=${one} value=${one} selected=${one === shown}>${number(found[one].total)} ${WHERE[one]}</option>`)}</select>` : null}
    ${open && shown ? html`<${Table} name=${name} split=${shown} found=${found[shown]} />` : null}
  </div>`;
}

function Table({ name, split, found }) {
  const now = filter.value;
  const show = (title, label, amount) => {
    setFilter({ ...USUAL_FILTER, sort: now.sort, order: now.order, class: title, said: `${name}:${label}`, split });
    notify(`${count(amount, "image")} of ${titleText(title)} that ${name} takes for ${labelText(label)}`);
  };
  return html`<p class="hint">${number(found.right)} of ${count(found.total, "answer")} right, by the classes as they are now. A line is a class, a column what ${name} said.${found.left_out ? ` ${count(found.left_out, "class", "classes")} with fewer mistakes left out.` : ""}</p>
    <div class="confusion-scroll" tabindex="0" role="group" aria-label=${`What ${name} takes for what`}>
      <table class="confusion">
        <thead><tr><th scope="col"><span class="for-readers">Class</span></th>${found.labels.map((label) => html`<th key=${label} scope="col" title=${labelText(label)}>${labelText(label)}</th>`)}</tr></thead>
        <tbody>${found.titles.map(
          (title, line) => html`<tr key=${title}>
            <th scope="row" title=${titleText(title)}>${titleText(title)}</th>
            ${found.labels.map((label, column) => {
              const amount = found.counts[line][column];
              const on = now.class === title && now.said === `${name}:${label}` && now.split === split;
              return html`<td key=${label} class=${label === title ? "is-right" : ""}>${amount ? html`<button type="button" aria-pressed=${on} aria-label=${`${count(amount, "image")} of ${titleText(title)}, said ${labelText(label)}`} onClick=${() => show(title, label, amount)}>${number(amount)}</button>` : "·"}</td>`;
            })}
          </tr>`,
        )}</tbody>
      </table>
    </div>`;
}
