// Selecting with a rectangle: it begins beside the images or on one that is not selected.
import { selection, withRows } from "./selection.js";

const NEARLY_STILL = 6;
const EDGE = 48;

export function selectByRectangle(event, grid) {
  if (event.button !== 0 || event.pointerType === "touch" || !grid) return;
  if (event.target.closest('[draggable="true"], .mark')) return;
  const bounds = grid.scroller.getBoundingClientRect();
  if (event.clientX > bounds.left + grid.scroller.clientWidth) return;
  const inset = grid.inset ?? 0;
  const place = (at) => ({ x: at.clientX - bounds.left - inset, y: at.clientY - bounds.top + grid.top });
  const from = place(event);
  const before = event.shiftKey || event.ctrlKey || event.metaKey ? selection.value : { all: false, items: new Map(), except: new Map() };
  const box = document.querySelector(".rectangle");
  let last = event;
  let moved = false;
  let stretches = [];
  let scrolling = 0;

  const draw = () => {
    const to = place(last);
    const left = Math.min(from.x, to.x);
    const top = Math.min(from.y, to.y);
    const width = Math.abs(from.x - to.x);
    const height = Math.abs(from.y - to.y);
    box.hidden = false;
    box.style.transform = `translate(${left + bounds.left + inset}px, ${top - grid.top + bounds.top}px)`;
    box.style.width = `${width}px`;
    box.style.height = `${height}px`;
    stretches = grid.layout.inside(left, top, left + width, top + height);
    const rows = [];
    for (const [first, end] of stretches) {
      for (let at = first; at <= end; at += 1) {
        const row = grid.rows.get(at);
        if (row) rows.push(row);
      }
    }
    selection.value = withRows(before, rows);
  };
  const scroll = () => {
    scrolling = requestAnimationFrame(scroll);
    const above = bounds.top + EDGE - last.clientY;
    const below = last.clientY - (bounds.bottom - EDGE);
    if (above > 0 || below > 0) {
      grid.scrollBy(above > 0 ? -above / 3 : below / 3);
      draw();
    }
  };
  const onMove = (now) => {
    last = now;
    if (!moved && Math.hypot(now.clientX - event.clientX, now.clientY - event.clientY) < NEARLY_STILL) return;
    if (!moved) scroll();
    moved = true;
    draw();
  };
  const onUp = async () => {
    window.removeEventListener("pointermove", onMove);
    window.removeEventListener("pointerup", onUp);
    window.removeEventListener("pointercancel", onUp);
    cancelAnimationFrame(scrolling);
    box.hidden = true;
    if (!moved) return;
    // The click that follows would select one image alone.
    const swallow = (click) => click.stopPropagation();
    window.addEventListener("click", swallow, { capture: true });
    setTimeout(() => window.removeEventListener("click", swallow, { capture: true }));
    const rows = [];
    for (const [first, end] of stretches) rows.push(...(await grid.rows.range(first, end)));
    selection.value = withRows(before, rows);
  };
  window.addEventListener("pointermove", onMove);
  window.addEventListener("pointerup", onUp);
  window.addEventListener("pointercancel", onUp);
}
