// The versions of the model: scores, what changed in their data, as images, and one brought back.
import { useEffect, useState } from "/static/vendor/preact-hooks.js";
import { panel, store } from "../state/app_state.js";
import { getJson, post } from "../state/api.js";
import { act, complain } from "../changes/actions.js";
import { count, date, duration, number, percent, untilText } from "../format.js";
import { html, Icon } from "../ui.js";
import { Mistakes } from "./confusion.js";

const nameOf = (version) => `@${version.number}`;
const TRAINING = { starting: "Starting", training: "Training", done: "Trained", failed: "Failed", stopped: "Stopped" };

export function VersionsPanel() {
  const [data, setData] = useState(null);
  const [pair, setPair] = useState(null);
  const training = store.value?.training ?? null;
  useEffect(() => {
    getJson("/api/versions").then(setData, complain);
  }, [training?.state, store.value?.push?.state]);
  const known = (data?.versions ?? []).filter((one) => one.known);
  return html`<aside class="panel versions" aria-labelledby="versions-title">
    <header class="panel-head">
      <h2 id="versions-title">Versions</h2>
      <button type="button" class="icon-button" aria-label="Close the panel" title="V" onClick=${() => (panel.value = "")}><${Icon} name="close" /></button>
    </header>
    <${Training} training=${training} />
    ${data?.follows ? html`<p class="trouble"><${Icon} name="info" /><span>The last push gave the service the data of version ${data.follows}; samples made elsewhere stay there. A push brings back that of the folder.</span></p>` : null}
    ${data?.made_elsewhere && data.versions.length ? html`<p class="trouble"><${Icon} name="info" /><span>The records of versions and scores came with the folder: made elsewhere, not checked.</span></p>` : null}
    ${data?.requested && !["starting", "training"].includes(training?.state) ? html`<p class="hint requested">A training on ${count(data.requested.samples, "sample")} was requested at ${date(data.requested.asked_at)}; its version was not seen yet. To look for it: astica-sync versions</p>` : null}
    ${data && !data.versions.length && !data.requested ? html`<p class="hint">No version was seen by this store yet. A training makes one; for those of another store or program: astica-sync versions</p>` : null}
    <ol class="version-list" aria-label="Versions, the newest first">${(data?.versions ?? []).map((one) => html`<${Version} key=${one.number} version=${one} compare=${() => setPair({ before: one.previous === null ? one : { number: one.previous }, after: one })} />`)}</ol>
    ${known.length > 1 ? html`<${Compare} known=${known} pair=${pair} setPair=${setPair} />` : null}
  </aside>`;
}

function Training({ training }) {
  const running = training && ["starting", "training"].includes(training.state);
  return html`<section aria-label="Training">
    ${training ? html`<p class="panel-state" role="status">${TRAINING[training.state] ?? training.state}${running ? html`<span class="hint"> for ${duration(training.seconds)}</span>` : null}${training.version ? html`<span class="hint"> version ${training.version}</span>` : null}</p>` : null}
    ${running ? html`<${ExpectedEnd} training=${training} label="Training under way" />` : null}
    ${training?.error ? html`<p class="trouble" role="alert"><b>${training.error.error}</b> ${training.error.hint}</p>` : null}
    <div class="buttons"><button type="button" class="button button-main" disabled=${running} onClick=${() => act("/api/train", {}, "The training begins")}>Train a version</button></div>
  </section>`;
}

function Version({ version, compare }) {
  const { changes } = version;
  return html`<li>
    <p class="version-head"><b>${nameOf(version)}</b> <span class="version-name">${version.name || "(no name)"}</span><span class="hint">${date(version.trained_at ?? version.seen_at)}</span></p>
    ${version.known
      ? html`<p class="hint">${count(version.samples, "sample")} in ${count(version.classes, "class", "classes")}${changes ? html`, <button type="button" class="link-button" onClick=${compare}>${number(changes.added)} added, ${number(changes.removed)} removed, ${number(changes.moved)} moved</button> since @${version.previous}` : null}${version.same_data.length ? `; the same data as ${version.same_data.map((one) => `@${one}`).join(", ")}` : ""}</p>`
      : html`<p class="hint">Its data is not known${version.unknown_because ? `: ${version.unknown_because}` : ""}.</p>`}
    ${version.scores.map((score) => html`<p class="version-score" key=${score.at}><${ScoreBar} score=${score} /><span class="hint">${score.right} of ${score.shown} in ${score.folder}${score.leaked ? `, ${number(score.leaked)} of them also in its data` : ""}</span></p>`)}
    <${Mistakes} version=${version} />
    ${version.known ? html`<${BringBack} version=${version} />` : null}
  </li>`;
}

/** How far a training probably is, by the times of the earlier ones. */
export function ExpectedEnd({ training, label }) {
  const { seconds, expected_seconds: expected, expected_from: earlier, began_at: began } = training;
  if (!expected) return html`<progress aria-label=${label}></progress>`;
  const source = earlier ? `as the last ${earlier === 1 ? "one" : earlier} took ${duration(expected)}` : "by the service's documentation";
  const late = seconds > expected;
  return html`<progress aria-label=${label} value=${late ? null : seconds} max=${late ? null : expected}></progress>
    <p class="hint">${late ? `Longer than expected: ${duration(expected)}, ${source}` : `Expected to end at ${untilText(began + expected)}, ${source}`}</p>`;
}

/** The share of right answers with its interval of 95 %, by Wilson. */
function ScoreBar({ score }) {
  const { right, shown } = score;
  if (!shown) return null;
  const z = 1.96;
  const p = right / shown;
  const middle = (p + (z * z) / (2 * shown)) / (1 + (z * z) / shown);
  const half = (z / (1 + (z * z) / shown)) * Math.sqrt((p * (1 - p)) / shown + (z * z) / (4 * shown * shown));
  const [low, high] = [Math.max(0, middle - half), Math.min(1, middle + half)].map((share) => 100 * share);
  const words = `${percent(p)} right, between ${Math.round(low)} and ${Math.round(high)} %`;
  return html`<svg class="score-bar" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label=${words}>
      <rect class="score-all" width="100" height="8" rx="2" /><rect class="score-interval" x=${low} width=${Math.max(high - low, 0.5)} height="8" /><rect class="score-point" x=${Math.min(100 * p, 99.2)} width="0.8" height="8" />
    </svg><span class="score-words">${percent(p)} <span class="hint">(${Math.round(low)}–${Math.round(high)})</span></span>`;
}

/** Its price is asked for first, which costs one request; then it is a push. */
function BringBack({ version }) {
  const [price, setPrice] = useState(null);
  const [busy, setBusy] = useState(false);
  const ask = async () => {
    setBusy(true);
    try {
      setPrice(await getJson("/api/versions/price", { version: nameOf(version) }));
    } catch (error) {
      complain(error);
    }
    setBusy(false);
  };
  if (!price) return html`<div class="buttons"><button type="button" class="button button-quiet" disabled=${busy} onClick=${ask}>Bring its data back …</button></div>`;
  const start = () => {
    panel.value = "push";
    return post("/api/push", { action: "start", version: nameOf(version) }).catch(complain);
  };
  return html`<div class="bring-back" role="group" aria-label=${`Bring back the data of ${nameOf(version)}`}>
    <p>${count(price.uploads, "upload")} and ${count(price.removals, "removal")} on the service: ${count(price.requests, "request")}. The folder stays as it is.</p>
    ${price.guard ? html`<p class="trouble"><span>${price.guard}</span></p>` : null}
    <div class="buttons"><button type="button" class="button button-main" onClick=${start}>Bring it back</button><button type="button" class="button button-quiet" onClick=${() => setPrice(null)}>No</button></div>
  </div>`;
}

function Compare({ known, pair, setPair }) {
  const [found, setFound] = useState(null);
  const before = pair?.before.number ?? known[1].number;
  const after = pair?.after.number ?? known[0].number;
  useEffect(() => {
    setFound(null);
    getJson("/api/versions/diff", { before: `@${before}`, after: `@${after}` }).then(setFound, complain);
  }, [before, after]);
  const choose = (side) => (event) => setPair({ before: { number: before }, after: { number: after }, [side]: { number: Number(event.target.value) } });
  const options = (chosen) => known.map((one) => html`<option key=${one.number} value=${one.number} selected=${one.number === chosen}>@${one.number} ${one.name}</option>`);
  return html`<section aria-labelledby="compare-title" class="compare">
    <h3 id="compare-title">What changed in the data</h3>
    <div class="compare-pair"><select aria-label="From version" value=${before} onChange=${choose("before")}>${options(before)}</select><span aria-hidden="true">→</span><select aria-label="To version" value=${after} onChange=${choose("after")}>${options(after)}</select></div>
    ${found
      ? html`<${Images} title="Added" part=${found.added} words=${(one) => one.class} />
          <${Images} title="Removed" part=${found.removed} words=${(one) => one.class} />
          <${Images} title="Moved" part=${found.moved} words=${(one) => `${one.from} → ${one.to}`} />
          ${found.added.total + found.removed.total + found.moved.total ? null : html`<p class="hint">Nothing: both were trained on the same images.</p>`}`
      : html`<p class="hint">Comparing …</p>`}
  </section>`;
}

function Images({ title, part, words }) {
  if (!part.total) return null;
  return html`<div class="compare-part">
    <h4>${title} <span class="hint">${number(part.total)}</span></h4>
    <ul>${part.images.map((one, at) => html`<li key=${at} title=${one.name ?? ""}>${one.content_hash ? html`<img src=${`/thumbnails/${one.content_hash}`} alt=${`${title}: ${one.name ?? ""} ${words(one)}`} loading="lazy" />` : html`<span class="no-image">${one.name}</span>`}<span>${words(one)}</span></li>`)}</ul>
    ${part.total > part.images.length ? html`<p class="hint">and ${number(part.total - part.images.length)} more</p>` : null}
  </div>`;
}
