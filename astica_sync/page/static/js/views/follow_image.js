// What is known of the image that is shown large. It is followed by its content: the id of an image names its place, so one
// that was moved has another id, and the view goes along and says so.
import { useEffect, useRef, useState } from "/static/vendor/preact-hooks.js";
import { announcement, openImage, view } from "../state/app_state.js";
import { getJson } from "../state/api.js";

/** {details, note}; while `held.current` is true a change of this view is under way, which goes to the next image. */
export function useFollowedImage({ id, index, near, hash }, held) {
  const [details, setDetails] = useState(null);
  const [note, setNote] = useState("");
  const noted = useRef("");
  const take = (found) => {
    // An answer may come when another image is shown already, and the effect of that has not run yet.
    if (openImage.value?.id !== id || (found.id !== id && held.current)) return;
    setDetails(found);
    const text = whatHappened(found, id, hash);
    if (text) {
      noted.current = found.id;
      setNote(text);
      announcement.value = text;
    }
    const at = found.position === undefined ? index : found.position;
    const next = { id: found.id, index: at, near: at ?? index ?? near, hash: found.content_hash };
    if (Object.keys(next).some((name) => next[name] !== openImage.value?.[name])) openImage.value = next;
  };
  useEffect(() => {
    if (noted.current !== id) setNote("");
  }, [id]);
  useEffect(() => {
    const controller = new AbortController();
    getJson(`/api/images/${id}`, { content: hash, view: view.value?.view }, { signal: controller.signal })
      .then((found) => controller.signal.aborted || take(found))
      .catch((error) => error.name !== "AbortError" && !held.current && setDetails({ error: error.message, hint: error.hint ?? "" }));
    return () => controller.abort();
  }, [id, view.value?.view]);
  return { details, note };
}

function whatHappened(found, id, hash) {
  if (found.id === id) return hash && found.content_hash !== hash ? "The file was changed; this is how it is now." : "";
  if (found.has_file) return `It was moved, and is ${found.class}/${found.name} now.`;
  return found.state === "held-out" ? "It was moved to the held-out folder." : `Its file was removed from ${found.class}.`;
}
