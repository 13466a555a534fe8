// What this browser remembers: theme, size of the images, hotkeys of classes.
import { effect, signal } from "/static/vendor/preact-signals-core.js";

function remembered(name, usual) {
  let first = usual;
  try {
    first = JSON.parse(localStorage.getItem(`astica.${name}`)) ?? usual;
  } catch {
    // Unreadable or forbidden storage: the usual value.
  }
  const value = signal(first);
  effect(() => {
    try {
      localStorage.setItem(`astica.${name}`, JSON.stringify(value.value));
    } catch {
      // Not remembered then.
    }
  });
  return value;
}

/** "system", "light" or "dark" */
export const theme = remembered("theme", "system");
/** The least side of an image in the grid, in CSS pixels. */
export const cellSize = remembered("cellSize", 152);
/** Hotkeys that were changed: {store path: {class title: key or ""}} */
export const chosenHotkeys = remembered("hotkeys", {});
export const detailsOpen = remembered("details", true);

export const CELL_SIZES = [88, 120, 152, 200, 264];

effect(() => {
  if (theme.value === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.value;
});

export function nextTheme() {
  const order = ["system", "light", "dark"];
  theme.value = order[(order.indexOf(theme.value) + 1) % order.length];
}

export function changeCellSize(step) {
  const at = CELL_SIZES.findIndex((size) => size >= cellSize.value);
  cellSize.value = CELL_SIZES[Math.min(Math.max((at < 0 ? CELL_SIZES.length : at) + step, 0), CELL_SIZES.length - 1)];
}
