// The local preview and the service, asked about a picture. A picture is what a canvas can draw: a video, an image.
import { signal } from "/static/vendor/preact-signals-core.js";
import { getJson, request } from "../state/api.js";

/** The answer of /api/preview, null before the first one. */
export const preview = signal(null);
/** What the preview says of the picture: [[title, share], ...]. */
export const said = signal([]);
/** What the service said last: {label, confidence, cached} or {error, hint}; null before. */
export const serviceSaid = signal(null);
export const asking = signal(false);
export const suspects = signal({ total: 0, images: [] });

const PAUSE = 1000;
let timer = 0;
let square = null;

/** Looks how far the preview is, again and again until it is that of the store as it is now. */
export async function followPreview(revision) {
  clearTimeout(timer);
  const state = await getJson("/api/preview");
  preview.value = state;
  if (state.revision < (revision ?? 0) || (!state.ready && !state.trouble)) {
    timer = setTimeout(() => followPreview(revision).catch(() => {}), PAUSE);
    return;
  }
  suspects.value = await getJson("/api/preview/suspects", { count: 60 });
}

export function stopFollowing() {
  clearTimeout(timer);
}

/** The pixels of a picture as the preview takes them: a square, three bytes each. */
export function pixelsOf(picture, side) {
  square ??= document.createElement("canvas");
  square.width = square.height = side;
  const context = square.getContext("2d", { willReadFrequently: true, alpha: false });
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, side, side);
  const { data } = context.getImageData(0, 0, side, side);
  const pixels = new Uint8Array(side * side * 3);
  for (let from = 0, to = 0; from < data.length; from += 4) {
    pixels[to++] = data[from];
    pixels[to++] = data[from + 1];
    pixels[to++] = data[from + 2];
  }
  return pixels;
}

/** Asks the preview about a picture; sends no request to the service. */
export async function askPreview(picture) {
  const side = preview.value?.side;
  if (!side || !preview.value.ready) return;
  const answer = await send("/api/preview", pixelsOf(picture, side));
  said.value = (await answer.json()).labels;
}

/** The picture as a JPEG file in its own size. */
export async function fileOf(picture) {
  const canvas = document.createElement("canvas");
  canvas.width = picture.videoWidth || picture.naturalWidth;
  canvas.height = picture.videoHeight || picture.naturalHeight;
  canvas.getContext("2d", { alpha: false }).drawImage(picture, 0, 0);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.95));
  const stamp = new Date().toISOString().replace(/[:.]/g, "-").slice(0, 23);
  return new File([blob], `frame-${stamp}.jpg`, { type: "image/jpeg" });
}

/** A file that the browser cannot show, as HEIC or TIFF, converted into one that it can. */
export async function convert(file) {
  return (await send("/api/picture", file)).blob();
}

/** Asks the newest version of the service: one request, unless the same image was asked before. */
export async function askService(file) {
  if (asking.value) return;
  asking.value = true;
  try {
    serviceSaid.value = await (await send("/api/detect", file)).json();
  } catch (error) {
    serviceSaid.value = { error: error.message, hint: error.hint };
  } finally {
    asking.value = false;
  }
}

function send(path, body) {
  const headers = { "X-Astica-Page": "1", "Content-Type": "application/octet-stream" };
  return request(path, { method: "POST", headers, body });
}
