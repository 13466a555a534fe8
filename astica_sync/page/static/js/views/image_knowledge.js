// What is known of one image besides its file: what the versions say of it, and which images look like it.
import { useEffect, useState } from "/static/vendor/preact-hooks.js";
import { openImage } from "../state/app_state.js";
import { getJson } from "../state/api.js";
import { percent as percentText } from "../format.js";
import { html } from "../ui.js";

/** One version: what it was trained on, and what it answered when it was asked; nothing is sent for it. */
function Said({ said, own }) {
  const { number, name, trained_as: titles, label, percent } = said;
  const trained = titles === null ? "its data is not known" : titles.length ? `trained on it as ${titles.join(", ")}` : "not trained on it";
  return html`<li>
    <span><b>@${number}</b> ${name} <span class="hint">${trained}</span></span>
    ${label === null ? html`<span class="hint">not asked</span>` : html`<span class=${label === own ? "" : "is-other"}>${label || "(no answer)"}${percent === null ? "" : ` ${percentText(percent / 100)}`}</span>`}
  </li>`;
}

/** What each version was trained on and said of this image. */
export function WhatVersionsSay({ hash, own }) {
  const [versions, setVersions] = useState([]);
  useEffect(() => {
    const controller = new AbortController();
    setVersions([]);
    if (hash) getJson(`/api/images/${hash}/said`, {}, { signal: controller.signal }).then((answer) => setVersions(answer.versions), () => {});
    return () => controller.abort();
  }, [hash]);
  if (!versions.length) return null;
  return html`<section aria-labelledby="said-title"><h3 id="said-title">What the versions say</h3><ul class="said-list">${versions.map((one) => html`<${Said} key=${one.number} said=${one} own=${own} />`)}</ul></section>`;
}

const SIMILAR_PAUSE = 1000;

/** The images of the store that look most like this one. */
export function SimilarImages({ hash }) {
  const [found, setFound] = useState(null);
  useEffect(() => {
    let timer = 0;
    const controller = new AbortController();
    const ask = async () => {
      try {
        const answer = await getJson(`/api/images/${hash}/similar`, {}, { signal: controller.signal });
        setFound(answer);
        if (!answer.ready) timer = setTimeout(ask, SIMILAR_PAUSE);
      } catch {
        // An image that has no content looks like none.
      }
    };
    setFound(null);
    if (hash) void ask();
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [hash]);
  if (!hash || (found?.ready && !found.images.length && !found.trouble)) return null;
  return html`<section aria-labelledby="similar-title">
    <h3 id="similar-title">Looks like</h3>
    ${found?.trouble ? html`<p class="hint">${found.trouble}</p>` : !found?.ready ? html`<p class="hint" role="status">The local preview reads the images …</p>` : null}
    ${found?.images.length
      ? html`<ul class="similar">${found.images.map((one) => html`<li key=${one.id}><button type="button" aria-label=${`${one.name}, class ${one.class}, ${Math.round(100 * one.likeness)} % similar`} title=${`${one.class}/${one.name}`} onClick=${() => (openImage.value = { id: one.id, index: null, hash: one.content_hash })}><img src=${`/thumbnails/${one.content_hash}`} alt="" loading="lazy" /></button><span>${one.class}</span></li>`)}</ul>`
      : null}
  </section>`;
}
