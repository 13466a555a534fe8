// "What would it say?": a camera or a file, the local preview of it, the service's answer, and what to look at first.
import { useEffect, useRef, useState } from "/static/vendor/preact-hooks.js";
import { classes, notify, openImage, panel, store } from "../state/app_state.js";
import { classOfKey, hotkeys } from "../changes/class_keys.js";
import { move } from "../changes/actions.js";
import { upload } from "../changes/uploads.js";
import { count, number, percent as exactPercent } from "../format.js";
import { html, Icon } from "../ui.js";
import { Queues } from "../queues/queues.js";
import { camera, rate, startCamera, stopCamera } from "./camera.js";
import { asking, askPreview, askService, convert, fileOf, followPreview, preview, said, serviceSaid, stopFollowing, suspects } from "./predictions.js";

const FILES = "image/png,image/jpeg,image/webp,image/gif,image/bmp,image/tiff,image/avif,image/heic,image/heif,image/jp2,.heic,.heif,.avif,.tif,.tiff,.jp2";

const percent = (share) => `${Math.round(share * 100)} %`;

export function PredictPanel() {
  const video = useRef(null);
  const image = useRef(null);
  const [file, setFile] = useState("");
  const [converting, setConverting] = useState(false);
  /** The chosen file: {file, converted}. */
  const chosen = useRef(null);
  const revision = store.value?.revision;
  const on = camera.value === "on";
  const picture = () => (on ? video.current : file ? image.current : null);

  useEffect(() => {
    followPreview(revision).catch(() => {});
  }, [revision]);
  useEffect(
    () => () => {
      stopFollowing();
      stopCamera();
      said.value = [];
      serviceSaid.value = null;
    },
    [],
  );
  useEffect(() => {
    // The store has changed: the same picture may look different now.
    if (file && image.current?.complete && preview.value?.ready) askPreview(image.current).catch(() => {});
  }, [file, preview.value?.revision]);
  useEffect(() => () => file && URL.revokeObjectURL(file), [file]);

  const choose = (file) => {
    if (!file) return;
    stopCamera();
    serviceSaid.value = null;
    chosen.current = { file, converted: false };
    setFile(URL.createObjectURL(file));
  };
  /** What the browser cannot show is shown as the service would get it. */
  const showConverted = async () => {
    const mine = chosen.current;
    setFile("");
    if (!mine || mine.converted) return notify("The file is no picture that the browser can show", { error: true });
    mine.converted = true;
    setConverting(true);
    try {
      const picture = await convert(mine.file);
      // Meanwhile another file may have been chosen, or the camera started.
      if (chosen.current === mine) setFile(URL.createObjectURL(picture));
    } catch (error) {
      if (chosen.current === mine) notify(error.message, { error: true, hint: error.hint });
    } finally {
      setConverting(false);
    }
  };
  const addTo = async (title) => {
    if (!picture()) return notify("There is no picture", { hint: "Start the camera or choose a file." });
    return upload([await fileOf(picture())], title);
  };
  const onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select") || event.target.closest("#queues")) return;
    const title = classOfKey(event.key);
    if (title === null || !picture()) return;
    event.preventDefault();
    event.stopPropagation();
    void addTo(title);
  };
  const onDrop = (event) => {
    event.preventDefault();
    event.stopPropagation();
    choose(event.dataTransfer.files[0]);
  };
  return html`<aside class="panel predict" aria-labelledby="predict-title" onKeyDown=${onKey} onDragOver=${(event) => event.preventDefault()} onDrop=${onDrop}>
    <header class="panel-head">
      <h2 id="predict-title">What would it say?</h2>
      <button type="button" class="icon-button" aria-label="Close the panel" title="W" onClick=${() => (panel.value = "")}><${Icon} name="close" /></button>
    </header>
    <section aria-label="Picture">
      <div class="predict-picture">
        <video ref=${video} muted playsinline hidden=${!on} aria-label="Camera"></video>
        ${file && !on ? html`<img ref=${image} src=${file} alt="The chosen picture" onLoad=${(event) => askPreview(event.target).catch(() => {})} onError=${showConverted} />` : null}
        ${!on && !file ? html`<p class="hint">${converting ? "Converting the file …" : "Start the camera, choose a file, or drop one here."}</p>` : null}
        ${picture() && said.value.length ? html`<p class="predict-label" aria-live="polite"><b>${said.value[0][0]}</b> ${percent(said.value[0][1])}<span>preview</span></p>` : null}
      </div>
      ${camera.value.error ? html`<p class="trouble" role="alert"><b>${camera.value.error}</b> ${camera.value.hint}</p>` : null}
      <div class="buttons">
        ${on
          ? html`<button type="button" class="button" onClick=${stopCamera}>Stop the camera</button>`
          : html`<button type="button" class="button button-main" disabled=${camera.value === "starting"} onClick=${() => ((chosen.current = null), setFile(""), startCamera(video.current))}>Start the camera</button>`}
        <label class="button predict-file">Choose a file<input type="file" accept=${FILES} onChange=${(event) => choose(event.target.files[0])} /></label>
      </div>
    </section>
    <${Preview} shown=${Boolean(picture())} />
    <${Service} picture=${picture} />
    ${picture() ? html`<${AddTo} addTo=${addTo} />` : null}
    <${Suspects} />
    <${Queues} />
  </aside>`;
}

function Preview({ shown }) {
  const state = preview.value;
  if (!state) return html`<p class="hint">Preparing the preview …</p>`;
  return html`<section aria-label="Local preview">
    <h3>Local preview <span class="hint">not the service's model</span></h3>
    ${state.trouble ? html`<p class="hint">${state.trouble}</p>` : null}
    ${!state.ready && !state.trouble ? html`<progress aria-label="Reading the images" value=${state.done} max=${state.total || 1}></progress><p class="hint">${number(state.done)} of ${number(state.total)} images read</p>` : null}
    ${state.ready
      ? html`${shown ? html`<ol class="predict-bars">${said.value.map(([title, share]) => html`<li key=${title}><span>${title}</span><meter min="0" max="1" value=${share} aria-label=${`${title}: ${percent(share)}`}></meter><span>${percent(share)}</span></li>`)}</ol>` : null}
          <p class="hint">Trained on this machine on ${count(state.images, "image")}; right for ${exactPercent(state.agreement)} of them when each is left out.${rate.value ? ` ${rate.value} frames a second.` : ""}</p>`
      : null}
  </section>`;
}

function Service({ picture }) {
  const answer = serviceSaid.value;
  const ask = async () => askService(await fileOf(picture()));
  return html`<section aria-label="The service">
    <h3>The service's newest version</h3>
    <p role="status">
      ${asking.value ? "Waiting for the service …" : null}
      ${!asking.value && answer?.error ? html`<span class="trouble"><span>${answer.error}. ${answer.hint}</span></span>` : null}
      ${!asking.value && answer && !answer.error ? html`<b>${answer.label || "(no answer)"}</b>${answer.confidence === null ? null : ` ${Math.round(answer.confidence)} %`}` : null}
    </p>
    <div class="buttons"><button type="button" class="button" disabled=${asking.value || !picture()} onClick=${ask}>Ask it <span class="hint">1 request</span></button></div>
  </section>`;
}

function AddTo({ addTo }) {
  return html`<section aria-label="Add this picture">
    <h3>It is in fact</h3>
    <ul class="predict-classes">${classes.value.filter((one) => one.title).map((one) => html`<li key=${one.title}><button type="button" class="button" onClick=${() => addTo(one.title)}>${hotkeys.value.get(one.title) ? html`<kbd aria-hidden="true">${hotkeys.value.get(one.title)}</kbd>` : null}${one.title}</button></li>`)}</ul>
  </section>`;
}

/** Images whose class the others contradict. */
function Suspects() {
  const { total, images } = suspects.value;
  if (!total) return null;
  const accept = (one) => {
    const items = new Map([[one.id, { hash: one.content_hash }]]);
    return move({ items: [[one.id, one.content_hash]], count: 1, ids: { all: false, items, except: new Map() } }, one.suggested);
  };
  return html`<section aria-label="Look at these first">
    <h3>Look at these first <span class="hint">${count(total, "image")}</span></h3>
    <ul class="predict-suspects">${images.map(
      (one) => html`<li key=${one.id}>
        <button type="button" class="predict-thumb" onClick=${() => (openImage.value = { id: one.id, index: null, hash: one.content_hash })} aria-label=${`Show the image of ${one.class} large`}><img src=${`/thumbnails/${one.content_hash}`} alt="" loading="lazy" /></button>
        <p>is in <b>${one.class}</b>, looks like <b>${one.suggested}</b> <span class="hint">${percent(one.certainty)}</span></p>
        <button type="button" class="button" onClick=${() => accept(one)}>Move</button>
      </li>`,
    )}</ul>
  </section>`;
}
