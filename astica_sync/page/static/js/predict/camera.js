// The camera of this machine, and the loop that asks the preview about its frames.
import { signal } from "/static/vendor/preact-signals-core.js";
import { askPreview } from "./predictions.js";

/** "off", "starting", "on", or {error, hint}. */
export const camera = signal("off");
/** Frames a second that the preview answered, over the last second. */
export const rate = signal(0);

const REFUSALS = {
  NotAllowedError: ["The camera may not be used", "Allow it for this page in the browser, at the left of the address."],
  NotFoundError: ["There is no camera", "Connect one, or choose a file."],
  NotReadableError: ["The camera is used by another program", "End that program, then try again."],
};
let stream = null;
let running = 0;

/** Shows the camera in a video element and asks the preview about each frame, one at a time. */
export async function startCamera(video) {
  camera.value = "starting";
  try {
    if (!navigator.mediaDevices) throw new DOMException("", "NotFoundError");
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 }, audio: false });
    video.srcObject = stream;
    await video.play();
  } catch (error) {
    stopCamera();
    const [text, hint] = REFUSALS[error.name] ?? ["The camera cannot be used", error.message];
    camera.value = { error: text, hint };
    return;
  }
  stream.getVideoTracks()[0].addEventListener("ended", stopCamera);
  camera.value = "on";
  const mine = ++running;
  const times = [];
  let coming = nextFrame(video);
  while (mine === running) {
    await coming;
    if (mine !== running) return;
    // Asked for before the answer: where that takes longer than a frame lasts, the one that came meanwhile is taken, and
    // the loop does not wait for another.
    coming = nextFrame(video);
    try {
      await askPreview(video);
    } catch {
      // The preview is being trained, or the connection is lost, which is shown by itself.
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    const now = performance.now();
    times.push(now);
    while (times[0] < now - 1000) times.shift();
    rate.value = times.length;
  }
}

/** Resolves with the next new frame of a video. */
const nextFrame = (video) =>
  new Promise((resolve) => (video.requestVideoFrameCallback ? video.requestVideoFrameCallback(resolve) : requestAnimationFrame(resolve)));

export function stopCamera() {
  running += 1;
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  rate.value = 0;
  if (camera.value === "on" || camera.value === "starting") camera.value = "off";
}
