// The address can be bookmarked: filter, selection and open image stand in its hash.
import { effect } from "/static/vendor/preact-signals-core.js";
import { filter, openImage, USUAL_FILTER } from "./app_state.js";
import { selection, selectAll, selectItems } from "../gallery/selection.js";

const MOST_SELECTED = 60;
let written = "";

function write() {
  const hash = new URLSearchParams();
  for (const [name, usual] of Object.entries(USUAL_FILTER)) {
    const value = filter.value[name];
    if (value !== usual && value !== null) hash.set(name, value);
  }
  const { all, items, except } = selection.value;
  if (all && !except.size) hash.set("selected", "all");
  else if (!all && items.size && items.size <= MOST_SELECTED) {
    hash.set("selected", [...items].map(([id, item]) => `${id}.${item.hash}`).join(" "));
  }
  if (openImage.value) hash.set("image", openImage.value.id);
  return hash.toString();
}

function read(text) {
  const hash = new URLSearchParams(text);
  const next = { ...USUAL_FILTER };
  for (const name of Object.keys(USUAL_FILTER)) {
    if (hash.has(name)) next[name] = hash.get(name);
  }
  filter.value = next;
  const selected = hash.get("selected");
  if (selected === "all") selectAll();
  else if (selected) {
    const items = selected.split(" ").map((part) => part.split("."));
    selectItems(items.map(([id, hash]) => [id, { hash: hash ?? "" }]));
  }
  openImage.value = hash.get("image") ? { id: hash.get("image"), index: null } : null;
}

export function startAddress() {
  read(location.hash.slice(1));
  let image = openImage.value?.id;
  effect(() => {
    const text = write();
    if (text === written) return;
    written = text;
    const address = text ? `#${text}` : location.pathname;
    // Opening an image is a step of the browser's history, so that "back" closes it.
    if (openImage.value && openImage.value.id !== image && !image) history.pushState(null, "", address);
    else history.replaceState(null, "", address);
    image = openImage.value?.id;
  });
  window.addEventListener("popstate", () => {
    const text = location.hash.slice(1);
    if (text === written) return;
    written = text;
    image = new URLSearchParams(text).get("image") ?? undefined;
    read(text);
  });
}
