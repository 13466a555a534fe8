// The filters other than class and state: split, problems, a version's data; and the ones that are on, above the images.
import { useEffect } from "/static/vendor/preact-hooks.js";
import { filter, setFilter, stateLabel, view } from "../state/app_state.js";
import { chosenVersion, counts, followCounts, knownVersions, shownVersion } from "../state/filter_counts.js";
import { SPLITS } from "../changes/commands.js";
import { number, shortNumber } from "../format.js";
import { html, Icon } from "../ui.js";

export const ANY_PROBLEM = "1";
const UNKNOWN = "…";

/** "said" as words: "@3:Can". */
function saidWords(text) {
  const [, version, label] = /^(@\d+):?(.*)$/s.exec(text) ?? [];
  if (!text.includes(":")) return `answered by ${version}`;
  return label ? `${version} says ${label}` : `${version} names no class`;
}

export const versionWords = (text) => (text.startsWith("since-") ? `changed since ${text.slice(6)}` : `in the data of ${text}`);

function Choice({ name, on, shown, icon = null, state = null, pick }) {
  return html`<li>
    <button type="button" class=${`choice ${shown || on || shown === undefined ? "" : "is-none"}`} aria-pressed=${on} data-state=${state} onClick=${pick}>
      ${icon ? html`<span class="state-mark"><${Icon} name=${icon} /></span>` : null}
      <span class="choice-name">${name}</span><span class="choice-count" aria-label=${shown === undefined ? null : `${number(shown)} images`}>${shown === undefined ? UNKNOWN : shortNumber(shown)}</span>
    </button>
  </li>`;
}

export function MoreFilters({ pick }) {
  useEffect(followCounts, []);
  const { split, problem, version } = filter.value;
  const found = counts.value;
  const problems = Object.entries(found?.problem ?? {});
  const known = knownVersions.value;
  const of = shownVersion();
  const toggle = (name, value) => () => pick({ [name]: filter.value[name] === value ? "" : value });
  return html`
    ${found?.split["held-out"] || split
      ? html`<section aria-labelledby="split-title">
          <header class="side-head"><h2 id="split-title">Split</h2></header>
          <ul class="choices">
            ${Object.entries(SPLITS).map(([name, label]) => html`<${Choice} key=${name} name=${label} on=${split === name} shown=${found?.split[name]} icon=${name === "store" ? "on-service" : "held-out"} state=${name === "store" ? null : "held-out"} pick=${toggle("split", name)} />`)}
          </ul>
        </section>`
      : null}
    ${problems.length || problem
      ? html`<section aria-labelledby="problems-title">
          <header class="side-head"><h2 id="problems-title">Problems</h2></header>
          <ul class="choices">
            ${(problem && problem !== ANY_PROBLEM && !found?.problem[problem] ? [[problem, 0], ...problems] : problems).map(([kind, amount]) => html`<${Choice} key=${kind} name=${kind} on=${problem === kind} shown=${amount} icon="problem" state="problem" pick=${toggle("problem", kind)} />`)}
          </ul>
        </section>`
      : null}
    ${known.length
      ? html`<section aria-labelledby="side-version-title" class="side-version">
          <header class="side-head"><h2 id="side-version-title">Data of a version</h2></header>
          <select aria-label="Version" value=${of} onChange=${(event) => {
            chosenVersion.value = Number(event.target.value);
            if (version) pick({ version: version.replace(/@\d+/, `@${event.target.value}`) });
          }}>
            ${known.map((one) => html`<option key=${one.number} value=${one.number} selected=${one.number === of}>@${one.number} ${one.name}</option>`)}
          </select>
          <ul class="choices">
            <${Choice} name=${`in its data`} on=${version === `@${of}`} shown=${found?.version.in} pick=${toggle("version", `@${of}`)} />
            <${Choice} name=${`changed since`} on=${version === `since-@${of}`} shown=${found?.version.since} pick=${toggle("version", `since-@${of}`)} />
          </ul>
        </section>`
      : null}
  `;
}

/** What is filtered by, apart from the class, which stands at the top, and the text, which stands in the search. */
export function FiltersOn() {
  const { state, problem, split, version, said } = filter.value;
  const on = [
    state && { name: "state", words: stateLabel(state) },
    split && { name: "split", words: SPLITS[split] ?? split },
    problem && { name: "problem", words: problem === ANY_PROBLEM ? "any problem" : problem },
    version && { name: "version", words: versionWords(version) },
    said && { name: "said", words: saidWords(said) },
  ].filter(Boolean);
  const ranking = view.value?.ranking;
  const waits = ranking && (ranking.trouble ? `No order by ${filter.value.sort}: ${ranking.trouble}` : ranking.ready ? "" : `The local preview reads the images: ${number(ranking.done)} of ${number(ranking.total)}`);
  if (!on.length && !waits) return null;
  return html`<div class="filters-on" role="group" aria-label="Filters">
    ${waits ? html`<p class="hint" role="status">${waits}</p>` : null}
    ${on.map(({ name, words }) => html`<button key=${name} type="button" class="filter-on" aria-label=${`Remove the filter: ${words}`} onClick=${() => setFilter({ [name]: "" })}><span>${words}</span><${Icon} name="close" /></button>`)}
  </div>`;
}

