// The rail beside the grid: the groups of the order, each at its place; a click or a drag jumps there.
import { useEffect, useRef, useState } from "/static/vendor/preact-hooks.js";
import { filter, view } from "../state/app_state.js";
import { html } from "../ui.js";
import { grid } from "./shown_grid.js";

const LEAST_APART = 26;
const NAMES = { class: "class", date: "date", name: "letter" };

export function Rail() {
  const ref = useRef(null);
  const [height, setHeight] = useState(0);
  const shownGrid = grid.value;
  const groups = view.value?.groups ?? [];
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setHeight(entry.contentRect.height));
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    if (!shownGrid) return undefined;
    const rail = ref.current;
    const thumb = rail.querySelector(".rail-thumb");
    shownGrid.onScroll = () => {
      const most = Math.max(shownGrid.full - shownGrid.height, 1);
      thumb.style.transform = `translateY(${(shownGrid.top / most) * Math.max(height - 4, 0)}px)`;
    };
    shownGrid.onScroll();
    return () => (shownGrid.onScroll = () => {});
  }, [shownGrid, height]);
  const jump = (event) => {
    const bounds = ref.current.getBoundingClientRect();
    const part = Math.min(Math.max((event.clientY - bounds.top) / bounds.height, 0), 1);
    shownGrid.scrollTo(part * Math.max(shownGrid.full - shownGrid.height, 0));
  };
  const onPointerDown = (event) => {
    if (event.target.closest("button")) return;
    ref.current.setPointerCapture(event.pointerId);
    jump(event);
  };
  const useful = groups.length > 1 && groups.length < 20_000 && NAMES[filter.value.sort];
  const marks = [];
  let last = -Infinity;
  const total = view.value?.total || 1;
  for (const group of useful ? groups : []) {
    const y = (group.start / total) * height;
    if (y - last < LEAST_APART || y > height - 20) continue;
    last = y;
    marks.push({ ...group, y });
  }
  return html`<nav
    class="rail"
    aria-label=${`Jump to a ${NAMES[filter.value.sort] ?? "place"}`}
    ref=${ref}
    onPointerDown=${onPointerDown}
    onPointerMove=${(event) => ref.current.hasPointerCapture(event.pointerId) && jump(event)}
  >
    <span class="rail-thumb"></span>
    ${marks.map(
      (mark) => html`<button
        type="button"
        key=${mark.start}
        class="rail-mark"
        title=${mark.label}
        style=${{ transform: `translateY(${mark.y}px)` }}
        onClick=${() => {
          shownGrid.scrollTo(shownGrid.layout.yOf(mark.start) - shownGrid.layout.header);
          shownGrid.moveCursor(mark.start, { focus: false });
        }}
      >
        ${mark.label || "no class"}
      </button>`,
    )}
  </nav>`;
}
