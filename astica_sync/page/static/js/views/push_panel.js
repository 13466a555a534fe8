// The push: its price and the guard's question before it, its queue, budget and failures while it runs.
import { panel, store } from "../state/app_state.js";
import { observe, push, train } from "../changes/actions.js";
import { count, date, duration, number, price } from "../format.js";
import { html, Icon } from "../ui.js";
import { ExpectedEnd } from "../versions/versions_panel.js";

const ROUND = 2 * Math.PI * 26;
const WORDS = {
  idle: "Not running",
  starting: "Starting",
  observing: "Looking at the service",
  sending: "Sending",
  paused: "Paused",
  asking: "Waits for your answer",
  done: "Done",
  failed: "Stopped by an error",
};

export function PushPanel() {
  const data = store.value;
  const run = data?.push ?? null;
  const state = run?.state ?? "idle";
  const running = ["starting", "observing", "sending"].includes(state);
  return html`<aside class="panel" aria-labelledby="push-title">
    <header class="panel-head">
      <h2 id="push-title">Push</h2>
      <button type="button" class="icon-button" aria-label="Close the panel" title="P" onClick=${() => (panel.value = "")}><${Icon} name="close" /></button>
    </header>
    <${Price} data=${data} hidden=${running} />
    ${run?.question ? html`<${Question} question=${run.question} />` : null}
    <section aria-label="Progress">
      <p class="panel-state" role="status">${WORDS[state] ?? state}${run?.current && running ? html`<span class="hint"> ${run.current}</span>` : null}</p>
      ${run && run.total ? html`<progress aria-label="Progress of the push" value=${run.done} max=${run.total}></progress>
          <p class="panel-figures"><span>${number(run.done)} of ${number(run.total)}</span>${run.eta_seconds != null && running ? html`<span>${duration(run.eta_seconds)} left</span>` : null}</p>` : null}
      ${run?.waits ? html`<p class="hint">${run.waits}</p>` : null}
      ${run?.error ? html`<p class="trouble" role="alert"><span><b>${run.error.error}</b> ${run.error.hint}</span></p>` : null}
      ${run?.result && state === "done" ? html`<p class="hint">${sentence(run.result)}</p>` : null}
      ${run?.notes?.length ? html`<ul class="failures">${run.notes.slice(-5).map((one, at) => html`<li key=${at} class="hint">${one}</li>`)}</ul>` : null}
      <div class="buttons">
        ${state === "paused" ? html`<button type="button" class="button button-main" onClick=${() => push("resume")}>Resume</button>` : null}
        ${running ? html`<button type="button" class="button" onClick=${() => push("pause")}>Pause</button><button type="button" class="button button-quiet" onClick=${() => push("stop")}>Stop</button>` : null}
        ${!running && state !== "paused" && state !== "asking"
          ? html`<button type="button" class="button button-main" disabled=${!data} onClick=${() => push("start")}>Start the push</button>
              <button type="button" class="button button-quiet" onClick=${observe}>Look at the service</button>`
          : null}
      </div>
    </section>
    ${run?.budget ? html`<${Budget} budget=${run.budget} rate=${run.rate} />` : null}
    ${run?.failures?.length
      ? html`<section aria-label="Failures"><h3>${count(run.failures.length, "failure")}</h3>
          <ul class="failures">${run.failures.map((one, at) => html`<li key=${at}><b>${one.class ? `${one.class}/` : ""}${one.name}</b> ${one.reason}${one.remedy ? html`<span class="hint">${one.remedy}</span>` : null}</li>`)}</ul></section>`
      : null}
    <${TrainingState} training=${data?.training} />
    ${data?.observed_at ? html`<p class="hint">The service was looked at ${date(data.observed_at)}</p>` : null}
  </aside>`;
}

function sentence({ uploaded, removed, failed, in_sync: inSync }) {
  const words = [`${number(uploaded)} sent`, `${number(removed)} removed`];
  if (failed) words.push(`${number(failed)} failed`);
  return `${words.join(", ")}.${inSync ? " The service is in sync with the store." : ""}`;
}

const TRAINING = { starting: "Starting", training: "Training", done: "Trained", failed: "The training failed", stopped: "Not waited for" };

function TrainingState({ training }) {
  const running = ["starting", "training"].includes(training?.state);
  return html`<section aria-label="Training" class="training">
    <h3>Training</h3>
    ${training
      ? html`<p role="status">${TRAINING[training.state] ?? training.state}${training.state === "done" && training.version ? ` version ${training.version}` : ""}${running && training.seconds ? html` <span class="hint">for ${duration(training.seconds)}</span>` : null}</p>
          ${running ? html`<${ExpectedEnd} training=${training} label="Training runs" />` : null}
          ${training.message ? html`<p class="hint">${training.message}</p>` : null}
          ${training.error ? html`<p class="trouble" role="alert"><span><b>${training.error.error}</b> ${training.error.hint}</span></p>` : null}`
      : html`<p class="hint">A version is made from what the service has; it takes a while there.</p>`}
    <div class="buttons"><button type="button" class="button" disabled=${running} onClick=${train}>Train a version</button></div>
  </section>`;
}

function Price({ data, hidden }) {
  if (hidden || !data) return null;
  if (!data.price) return html`<p class="hint">The price is known once the service was looked at.</p>`;
  return html`<section aria-label="Price" class="price">
    <p class="price-figures">${price(data.price)}</p>
    ${data.price.guard && !data.push?.question ? html`<p class="trouble"><${Icon} name="problem" /><span>${data.price.guard}</span></p>` : null}
  </section>`;
}

/** How many requests of the budget are left, as a ring that empties and fills. */
function Budget({ budget, rate }) {
  const left = Math.max(budget.limit - budget.used, 0);
  return html`<section class="budget" aria-label="Budget of requests">
    <svg class="ring" viewBox="0 0 64 64" role="img" aria-label=${`${left} of ${budget.limit} requests left`}>
      <circle cx="32" cy="32" r="26" class="ring-all" />
      <circle cx="32" cy="32" r="26" class="ring-left" stroke-dasharray=${`${(left / (budget.limit || 1)) * ROUND} ${ROUND}`} transform="rotate(-90 32 32)" />
      <text x="32" y="37" text-anchor="middle">${left}</text>
    </svg>
    <div>
      <p>${left} of ${count(budget.limit, "request")} left</p>
      ${budget.next_in ? html`<p class="hint">next one in ${duration(budget.next_in)}</p>` : null}
      ${rate ? html`<p class="hint">${number(Math.round(rate))} a minute</p>` : null}
    </div>
  </section>`;
}

function Question({ question }) {
  return html`<section class="question" role="alert" aria-label="Question">
    <h3>${question.text}</h3>
    ${question.hint ? html`<p class="hint">${question.hint}</p>` : null}
    <ul class="question-images">
      ${(question.images ?? []).slice(0, 24).map(
        ([id, hash, name, title]) => html`<li key=${id} title=${`${title}/${name}`}>${hash ? html`<img src=${`/thumbnails/${hash}`} alt=${`${name}, class ${title}`} loading="lazy" />` : html`<span>${name}</span>`}</li>`,
      )}
    </ul>
    ${question.total > 24 ? html`<p class="hint">and ${number(question.total - 24)} more</p>` : null}
    <div class="buttons">
      <button type="button" class="button button-danger" onClick=${() => push("agree")}>Yes, go on</button>
      <button type="button" class="button" onClick=${() => push("stop")}>No, stop</button>
    </div>
  </section>`;
}
