// One image large: zoom, pan, details, history, the ones before and after.
import { useEffect, useRef, useState } from "/static/vendor/preact-hooks.js";
import { classes, leaving, openImage, setFilter, stateLabel, view } from "../state/app_state.js";
import { getJson } from "../state/api.js";
import { onStale } from "../state/load.js";
import { detailsOpen } from "../state/settings.js";
import { move, putBack, redo, remove, undo } from "../changes/actions.js";
import { classOfKey, hotkeys } from "../changes/class_keys.js";
import { bytes, date, untilText } from "../format.js";
import { html, Icon, Modal } from "../ui.js";
import { grid } from "../gallery/shown_grid.js";
import { useFollowedImage } from "./follow_image.js";
import { SimilarImages, WhatVersionsSay } from "./image_knowledge.js";

const MOST_ZOOM = 12;
const WHOLE = { scale: 1, x: 0, y: 0 };
const AROUND = 4;

export function ImageView() {
  const { id, index, near, hash } = openImage.value;
  const changing = useRef(false);
  const { details, note } = useFollowedImage(openImage.value, changing);
  const [zoom, setZoom] = useState(WHOLE);
  const [around, setAround] = useState([]);
  const stage = useRef(null);
  const close = () => {
    openImage.value = null;
    if (index !== null) grid.value?.moveCursor(index);
  };
  useEffect(() => setZoom(WHOLE), [hash ?? id]);
  useEffect(() => {
    if (index === null || !grid.value) return;
    let current = true;
    grid.value.rows
      .range(Math.max(index - AROUND, 0), Math.min(index + AROUND, grid.value.total - 1))
      .then((rows) => current && setAround(rows.map((row, at) => ({ row, index: Math.max(index - AROUND, 0) + at }))))
      .catch(() => {});
    return () => (current = false);
  }, [id, index, grid.value, view.value?.view]);

  // Where the image is no longer among those shown, the next one has moved up to its place.
  const before = index === null ? (near ?? 0) - 1 : index - 1;
  const after = index === null ? (near ?? grid.value?.total ?? 0) : index + 1;
  const has = (place) => place >= 0 && place < (grid.value?.total ?? 0);
  const go = async (place) => {
    if (!has(place)) return;
    const row = await rowAt(place);
    if (row) openImage.value = { id: row[0], index: place, hash: row[4] };
  };
  /** A change takes the image out of this place; the next one moves up to it. */
  const change = async (work) => {
    const seen = [[id, details?.content_hash ?? hash ?? ""]];
    changing.current = true;
    try {
      // A page that was opened at an image may not know its place yet.
      const place = index ?? near ?? (await placeOf(id, hash));
      if (!(await work({ items: seen, count: 1 }))) return;
      if (place === null || !grid.value?.total) return close();
      const at = Math.min(place, grid.value.total - 1);
      const row = await rowAt(at);
      if (row) openImage.value = { id: row[0], index: at, hash: row[4] };
      else close();
    } finally {
      changing.current = false;
    }
  };
  const zoomTo = (scale, at = null) => {
    const bounds = stage.current.getBoundingClientRect();
    const x = at ? at.clientX - bounds.left - bounds.width / 2 : 0;
    const y = at ? at.clientY - bounds.top - bounds.height / 2 : 0;
    setZoom((before) => {
      const next = Math.min(Math.max(scale(before.scale), 1), MOST_ZOOM);
      if (next === 1) return WHOLE;
      const part = next / before.scale;
      return { scale: next, x: x - (x - before.x) * part, y: y - (y - before.y) * part };
    });
  };
  const onKeyDown = (event) => {
    if (event.altKey) return;
    const control = event.ctrlKey || event.metaKey;
    const zoomed = zoom.scale > 1;
    const pan = { ArrowLeft: [80, 0], ArrowRight: [-80, 0], ArrowUp: [0, 80], ArrowDown: [0, -80] }[event.key];
    if (control && event.key.toLowerCase() === "z") void (event.shiftKey ? redo() : undo());
    else if (control) return;
    else if (zoomed && pan) setZoom({ ...zoom, x: zoom.x + pan[0], y: zoom.y + pan[1] });
    else if (event.key === "ArrowLeft") void go(before);
    else if (event.key === "ArrowRight") void go(after);
    else if (event.key === "+" || event.key === "=") zoomTo((scale) => scale * 1.5);
    else if (event.key === "-") zoomTo((scale) => scale / 1.5);
    else if (event.key === "0" && zoomed) setZoom(WHOLE);
    else if (event.key.toLowerCase() === "i") detailsOpen.value = !detailsOpen.value;
    else if (event.key === "Delete") void change(remove);
    else {
      const title = event.target.closest("input, select") ? null : classOfKey(event.key);
      if (title === null) return;
      void change((wanted) => move(wanted, title));
    }
    event.preventDefault();
    event.stopPropagation();
  };
  useEffect(() => {
    const element = stage.current;
    const onWheel = (event) => {
      event.preventDefault();
      zoomTo((scale) => scale * Math.exp(-event.deltaY / 300), event);
    };
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => element.removeEventListener("wheel", onWheel);
  }, []);
  const onPointerDown = (event) => {
    if (event.button !== 0 || zoom.scale === 1) return;
    event.preventDefault();
    stage.current.setPointerCapture(event.pointerId);
    const from = { x: event.clientX - zoom.x, y: event.clientY - zoom.y };
    const onMove = (now) => setZoom((before) => ({ ...before, x: now.clientX - from.x, y: now.clientY - from.y }));
    const onUp = () => {
      stage.current?.removeEventListener("pointermove", onMove);
      stage.current?.removeEventListener("pointerup", onUp);
      stage.current?.removeEventListener("pointercancel", onUp);
    };
    stage.current.addEventListener("pointermove", onMove);
    stage.current.addEventListener("pointerup", onUp);
    stage.current.addEventListener("pointercancel", onUp);
  };
  const name = details?.name ?? "";
  return html`<${Modal} label=${name ? `Image ${name}` : "Image"} className="image-view" onClose=${close}>
    <div class="image-body" onKeyDown=${onKeyDown}>
      <header class="image-head">
        <button type="button" class="icon-button" aria-label="Back to all images" title="Esc" data-first onClick=${close}><${Icon} name="left" /></button>
        <h2>${name}</h2>
        ${details?.state ? html`<span class="state-pill" data-state=${details.state}><${Icon} name=${details.state} />${stateLabel(details.state)}</span>` : null}
        <span class="space"></span>
        <button type="button" class="icon-button" aria-label="Zoom out" title="-" disabled=${zoom.scale === 1} onClick=${() => zoomTo((scale) => scale / 1.5)}><${Icon} name="minus" /></button>
        <span class="zoom-text" role="status" aria-label="Zoom">${Math.round(zoom.scale * 100)} %</span>
        <button type="button" class="icon-button" aria-label="Zoom in" title="+" onClick=${() => zoomTo((scale) => scale * 1.5)}><${Icon} name="plus" /></button>
        <button type="button" class="icon-button" aria-label="Delete" title="Delete" onClick=${() => change(remove)}><${Icon} name="trash" /></button>
        <button type="button" class="icon-button" aria-label="Details" title="I" aria-pressed=${detailsOpen.value} onClick=${() => (detailsOpen.value = !detailsOpen.value)}><${Icon} name="info" /></button>
      </header>
      <div class="image-middle">
        <div class=${`stage ${zoom.scale > 1 ? "is-zoomed" : ""}`} ref=${stage} onPointerDown=${onPointerDown} onDblClick=${(event) => zoomTo((scale) => (scale > 1 ? 1 : 3), event)}>
          <${Picture} source=${hash || id} name=${name} zoom=${zoom} goes=${leaving.value.get(id)} />
          ${details?.error ? html`<p class="image-note" role="alert"><b>${details.error}</b> ${details.hint}</p>` : note ? html`<p class="image-note" role="status">${note}</p>` : null}
        </div>
        ${has(before) ? html`<button type="button" class="step step-left" aria-label="The image before" title="Left" onClick=${() => go(before)}><${Icon} name="left" /></button>` : null}
        ${has(after) ? html`<button type="button" class="step step-right" aria-label="The next image" title="Right" onClick=${() => go(after)}><${Icon} name="right" /></button>` : null}
        ${detailsOpen.value && details ? html`<${Details} details=${details} change=${change} />` : null}
      </div>
      ${around.length > 1
        ? html`<ul class="strip" aria-label="Neighbours">
            ${around.map((one) => html`<li key=${one.row[0]}><button type="button" aria-label=${one.row[3]} aria-current=${one.row[0] === id ? "true" : null} onClick=${() => (openImage.value = { id: one.row[0], index: one.index, hash: one.row[4] })}>${one.row[4] ? html`<img src=${`/thumbnails/${one.row[4]}`} alt="" />` : null}</button></li>`)}
          </ul>`
        : null}
    </div>
  <//>`;
}

/** The place of an image in the view, null where it is not in it. */
async function placeOf(id, hash) {
  try {
    if (!view.value) await onStale();
    const found = await getJson(`/api/images/${id}`, { content: hash, view: view.value?.view });
    return found.position ?? null;
  } catch {
    return null;
  }
}

/** The image at a place of the view. */
async function rowAt(place) {
  return (await grid.value?.rows.range(place, place))?.[0];
}

/** `source` is the content hash of the image, or its id where that is not known. */
function Picture({ source, name, zoom, goes }) {
  const [failed, setFailed] = useState("");
  const [shown, setShown] = useState("");
  // What could not be shown is asked for again once the store has changed.
  const attempt = `${source} ${view.value?.view}`;
  if (failed === attempt) return html`<p class="no-picture"><${Icon} name="problem" /> This image cannot be shown.</p>`;
  return html`<img
    key=${source}
    class=${shown === source ? "is-shown" : ""}
    src=${`/images/${source}/large`}
    alt=${name}
    draggable="false"
    onLoad=${() => setShown(source)}
    onError=${() => setFailed(attempt)}
    style=${{ transform: `translate(${zoom.x}px, ${zoom.y}px) scale(${zoom.scale})`, opacity: goes ? 0.4 : null }}
  />`;
}

/** How an image that is converted is sent; "" for one that is sent as it is. */
function sentAs(converted) {
  if (!converted) return "";
  if (converted.size === null) return `PNG or JPEG, converted from ${converted.from} before it is sent`;
  return [converted.as, bytes(converted.size), `converted from ${converted.from}`].filter(Boolean).join(", ");
}

function Details({ details, change }) {
  if (details.error) return null;
  const facts = [
    ["File", `${details.class}/${details.name}`],
    ["Size", details.size ? bytes(details.size) : ""],
    ["Sent as", sentAs(details.converted)],
    ["Pixels", details.pixels ? details.pixels.join(" × ") : ""],
    ["Changed", date(details.mtime)],
    ["Taken", details.exif?.taken ?? ""],
    ["Camera", details.exif?.camera ?? ""],
    ["Sample", details.sample_id ?? (details.sample_ids ?? []).join(", ")],
    ["Content", details.content_hash?.slice(0, 12) ?? ""],
  ].filter(([, value]) => value);
  return html`<aside class="details" aria-label="Details">
    <section>
      <h3>Class</h3>
      <div class="class-buttons">
        ${classes.value.filter((one) => one.title).slice(0, 24).map(
          (one) => html`<button key=${one.title} type="button" class="class-button" aria-pressed=${one.title === details.class} onClick=${() => one.title !== details.class && change((wanted) => move(wanted, one.title))}>
            ${hotkeys.value.get(one.title) ? html`<kbd aria-hidden="true">${hotkeys.value.get(one.title)}</kbd>` : null}${one.title}
          </button>`,
        )}
      </div>
    </section>
    <section>
      <h3>State</h3>
      <p>${stateLabel(details.state)}${details.until ? ` until ${untilText(details.until)}` : ""}</p>
      ${details.reason ? html`<p class="hint">${details.reason}</p>` : null}
      ${details.state === "backup-only" || details.state === "to-remove" ? html`<button type="button" class="button" onClick=${() => change(putBack)}>Put back</button>` : null}
      ${details.remedy ? html`<p class="remedy">${details.remedy}</p>` : null}
    </section>
    <section><h3>Facts</h3><dl class="facts">${facts.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl></section>
    ${details.same_image?.length
      ? html`<section><h3>The same image</h3><ul>${details.same_image.map((one) => html`<li key=${one.id}><button type="button" class="link" onClick=${() => (openImage.value = { id: one.id, index: null, hash: details.content_hash })}>in ${one.class}</button></li>`)}</ul></section>`
      : null}
    <${WhatVersionsSay} hash=${details.content_hash} own=${details.class} />
    <${SimilarImages} hash=${details.content_hash} />
    ${details.history?.length
      ? html`<section><h3>History</h3><ol class="history">${details.history.map((one, at) => html`<li key=${at}><time>${date(one.at ?? one.time)}</time><span>${one.text ?? one.what}</span></li>`)}</ol></section>`
      : null}
    <section><button type="button" class="link" onClick=${() => ((openImage.value = null), setFilter({ class: details.class }))}>Show all of ${details.class}</button></section>
  </aside>`;
}
