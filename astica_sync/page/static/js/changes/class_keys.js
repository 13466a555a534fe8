// The key of each class: the first ten have the digits; each can be changed, and is remembered by this browser.
import { computed } from "/static/vendor/preact-signals-core.js";
import { classes, store } from "../state/app_state.js";
import { chosenHotkeys } from "../state/settings.js";

const DIGITS = "1234567890";
/** Keys with a meaning of their own. */
export const RESERVED = "?/:mpgrvwqko[]+-=";

/** Map of class title -> key. */
export const hotkeys = computed(() => {
  const chosen = chosenHotkeys.value[store.value?.store.path] ?? {};
  const taken = new Set(Object.values(chosen));
  const free = [...DIGITS].filter((digit) => !taken.has(digit));
  const keys = new Map();
  for (const { title } of classes.value) {
    if (!title) continue;
    const key = title in chosen ? chosen[title] : free.shift();
    if (key) keys.set(title, key);
  }
  return keys;
});

export function classOfKey(key) {
  for (const [title, one] of hotkeys.value) if (one === key) return title;
  return null;
}

/** Gives a class a key, "" for none. The class that had it before has none. */
export function setHotkey(title, key) {
  const path = store.value.store.path;
  const chosen = { ...chosenHotkeys.value[path] };
  const before = key && classOfKey(key);
  if (before && before !== title) chosen[before] = "";
  chosen[title] = key;
  chosenHotkeys.value = { ...chosenHotkeys.value, [path]: chosen };
}

/** Why a key cannot be one of a class; "" where it can. */
export function objection(key) {
  if ([...key].length !== 1 || key === " ") return "Type one letter or digit.";
  if (RESERVED.includes(key)) return `${key} has another meaning; see the list of keys (?).`;
  return "";
}
