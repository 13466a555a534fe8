// The virtual grid: only the lines in sight are elements. They are made once and used again, since thousands of
// components a second would not scroll at 60 frames. Where all lines together are taller than browsers allow, the
// spacer is lower than the images and the scroll is scaled; small movements stay exact.
import { classTitle, filter, leaving, stateLabel, states, titleText, view } from "../state/app_state.js";
import { cellSize } from "../state/settings.js";
import { number } from "../format.js";
import { GridLayout } from "./grid_layout.js";
import { isSelected } from "./selection.js";
import { RowCache } from "./row_cache.js";
import { ThumbnailLoader } from "./thumbnail_loader.js";

const TALLEST = 6_000_000;
const GAP = 6;
const LINES_AROUND = 2;
/** After so many milliseconds without a movement that fast, the images are drawn. */
const LANDED_AFTER = 80;
const SVG = "http://www.w3.org/2000/svg";
const QUIET = "on-service";
/** Labels for cells that are too small for the whole one; screen readers get that one. */
const SHORT = { "to-remove": "remove", "backup-only": "backup", "several-classes": "classes", elsewhere: "elsewhere" };
const SMALL = 150;

export class Grid {
  cursor = 0;
  onStale = () => {};
  onScroll = () => {};
  #lines = new Map();
  #spare = [];
  #byHash = new Map();
  #frame = 0;
  #base = 0;
  #lastTop = 0;
  #settled = 0;
  /** More than a window of images passes in each frame: nothing can be seen, so empty cells are drawn. */
  #flying = false;
  #lastLeap = -Infinity;
  #landed = 0;

  constructor(scroller) {
    this.scroller = scroller;
    this.spacer = scroller.querySelector(".grid-spacer");
    this.layer = scroller.querySelector(".grid-layer");
    this.rows = new RowCache({ onRows: () => this.draw(), onStale: () => this.onStale() });
    this.thumbnails = new ThumbnailLoader((hash) => this.#showThumbnail(hash));
    this.layout = new GridLayout({ width: 800, cell: 152, gap: GAP, total: 0, groups: [], headings: false });
    /** The y of the images that is at the upper edge. */
    this.top = 0;
    this.height = 0;
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    scroller.addEventListener("scrollend", () => this.#settle(), { passive: true });
    this.observer = new ResizeObserver(() => this.relayout());
    this.observer.observe(scroller);
  }

  close() {
    this.observer.disconnect();
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#landed);
    clearTimeout(this.#settled);
  }

  get total() {
    return this.layout.total;
  }

  /** Takes the view, the size of cells and the width as they are now. The image at the upper edge stays there. */
  relayout({ keep = true } = {}) {
    const style = getComputedStyle(this.scroller);
    this.inset = parseFloat(style.paddingLeft);
    const width = this.scroller.clientWidth - this.inset - parseFloat(style.paddingRight);
    if (width <= 0) return;
    this.height = this.scroller.clientHeight;
    const shown = view.peek();
    const first = keep && this.total ? this.#firstInSight() : null;
    const offset = first === null ? 0 : this.top - this.layout.yOf(first);
    const small = Math.min(cellSize.peek(), Math.floor((width - 2 * GAP) / 3));
    const { sort } = filter.peek();
    this.layout = new GridLayout({
      width,
      cell: small,
      gap: GAP,
      total: shown?.total ?? 0,
      groups: shown?.groups ?? [],
      headings: sort === "class" || sort === "date" || sort === "name",
    });
    this.rows.setView(shown, JSON.stringify(filter.peek()), leaving.peek());
    this.cursor = Math.min(this.cursor, Math.max(this.total - 1, 0));
    this.scroller.setAttribute("aria-rowcount", this.layout.lines);
    this.scroller.setAttribute("aria-colcount", this.layout.columns);
    this.layer.style.setProperty("--side", `${this.layout.side}px`);
    this.scroller.classList.toggle("grid-small", this.layout.side < 110);
    this.full = this.layout.height + 96;
    this.scroller.classList.toggle("is-scaled", this.full > TALLEST);
    this.spacer.style.height = `${Math.min(this.full, TALLEST)}px`;
    for (const line of this.#lines.values()) this.#drop(line);
    this.#lines.clear();
    this.scrollTo(first === null || first >= this.total ? (keep ? this.top : 0) : this.layout.yOf(first) + offset);
    this.draw();
  }

  #firstInSight() {
    for (let line = this.layout.lineAt(this.top); line < this.layout.lines; line += 1) {
      const found = this.layout.line(line);
      if (!found.heading) return found.start;
    }
    return null;
  }

  get #scaled() {
    return this.full > TALLEST;
  }

  #tallestScroll() {
    return Math.max(Math.min(this.full, TALLEST) - this.height, 0);
  }

  #toScroll(top) {
    if (!this.#scaled) return top;
    return (top / (this.full - this.height)) * this.#tallestScroll();
  }

  scrollTo(top) {
    this.top = Math.min(Math.max(top, 0), Math.max((this.full ?? 0) - this.height, 0));
    const scroll = this.#toScroll(this.top);
    if (Math.abs(this.scroller.scrollTop - scroll) >= 1) this.scroller.scrollTop = scroll;
    this.#lastTop = this.scroller.scrollTop;
    this.#schedule();
  }

  scrollBy(delta) {
    this.scrollTo(this.top + delta);
  }

  #scrolled() {
    const now = this.scroller.scrollTop;
    const delta = now - this.#lastTop;
    if (delta === 0) return;
    this.#lastTop = now;
    this.#noteSpeed(Math.abs(delta));
    if (!this.#scaled) this.top = now;
    else if (Math.abs(delta) < this.height * 1.5 && now > 0 && now < this.#tallestScroll()) {
      this.top = Math.min(Math.max(this.top + delta, 0), this.full - this.height);
    } else this.top = (now / this.#tallestScroll()) * (this.full - this.height);
    this.#schedule();
    clearTimeout(this.#settled);
    if (this.#scaled) this.#settled = setTimeout(() => this.#settle(), 200);
  }

  /** One leap is a place that was chosen; the next one soon after it is part of a flight. */
  #noteSpeed(distance) {
    if (distance < this.height) return;
    const now = performance.now();
    this.#flying = now - this.#lastLeap < LANDED_AFTER;
    this.#lastLeap = now;
    clearTimeout(this.#landed);
    this.#landed = setTimeout(() => {
      this.#flying = false;
      this.#schedule();
    }, LANDED_AFTER);
  }

  /** After exact small movements the scroll bar is put where the position belongs. */
  #settle() {
    if (!this.#scaled) return;
    const right = this.#toScroll(this.top);
    if (Math.abs(right - this.scroller.scrollTop) < 1) return;
    this.scroller.scrollTop = right;
    this.#lastTop = this.scroller.scrollTop;
    this.#schedule();
  }

  #schedule() {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.draw();
    });
  }

  /** Draws what is in sight, from what is known now. */
  draw() {
    const { layout } = this;
    if (Math.abs(this.top - this.#base) > 100_000) {
      this.#base = this.top;
      for (const line of this.#lines.values()) this.#drop(line);
      this.#lines.clear();
    }
    const shift = this.#scaled ? this.scroller.scrollTop - this.top + this.#base : this.#base;
    this.layer.style.transform = `translateY(${shift}px)`;
    const wanted = new Set();
    if (layout.lines) {
      const first = Math.max(layout.lineAt(this.top) - LINES_AROUND, 0);
      const last = Math.min(layout.lineAt(this.top + this.height) + LINES_AROUND, layout.lines - 1);
      for (let at = first; at <= last; at += 1) wanted.add(at);
    }
    for (const [at, line] of this.#lines) {
      if (!wanted.has(at)) {
        this.#drop(line);
        this.#lines.delete(at);
      }
    }
    const near = [];
    const far = [];
    let low = Infinity;
    let high = -1;
    for (const at of wanted) {
      const found = layout.line(at);
      let line = this.#lines.get(at);
      if (!line) {
        line = this.#take(found.heading ? "heading" : "images");
        line.element.style.transform = `translateY(${found.y - this.#base}px)`;
        line.element.setAttribute("aria-rowindex", at + 1);
        this.#lines.set(at, line);
      }
      if (found.heading) {
        this.#fillHeading(line, found.heading);
        continue;
      }
      low = Math.min(low, found.start);
      high = Math.max(high, found.start + found.count - 1);
      const inSight = found.y + layout.side > this.top && found.y < this.top + this.height;
      this.#fillLine(line, found, inSight ? near : far);
    }
    if (high >= 0 && !this.#flying) this.rows.want(low, high);
    this.thumbnails.show([...near, ...far]);
    this.#keepFocus();
    this.onScroll();
  }

  #take(kind) {
    const at = this.#spare.findIndex((line) => line.kind === kind);
    const line = at >= 0 ? this.#spare.splice(at, 1)[0] : this.#makeLine(kind);
    line.element.hidden = false;
    return line;
  }

  #drop(line) {
    if (line.element.contains(document.activeElement)) this.scroller.focus({ preventScroll: true });
    line.element.hidden = true;
    for (const cell of line.cells) this.#retire(cell);
    this.#spare.push(line);
  }

  #makeLine(kind) {
    const element = document.createElement("div");
    element.setAttribute("role", "row");
    element.className = kind === "heading" ? "grid-heading" : "grid-line";
    if (kind === "heading") {
      const title = document.createElement("div");
      title.setAttribute("role", "rowheader");
      title.append(document.createElement("span"), document.createElement("span"));
      title.lastChild.className = "grid-heading-count";
      element.append(title);
    }
    this.layer.append(element);
    return { kind, element, cells: [] };
  }

  #fillHeading(line, group) {
    const [title, count] = line.element.firstChild.children;
    const label = titleText(group.label);
    if (title.textContent !== label) title.textContent = label;
    const text = number(group.count);
    if (count.textContent !== text) count.textContent = text;
  }

  #fillLine(line, { start, count }, hashes) {
    while (line.cells.length < this.layout.columns) {
      const cell = makeCell();
      line.cells.push(cell);
      line.element.append(cell.element);
    }
    line.cells.forEach((cell, column) => {
      const used = column < count;
      cell.element.hidden = !used;
      if (!used) {
        this.#retire(cell);
        return;
      }
      const index = start + column;
      cell.index = index;
      cell.element.dataset.index = index;
      cell.element.setAttribute("aria-colindex", column + 1);
      const row = this.#flying ? undefined : this.rows.get(index);
      cell.element.tabIndex = index === this.cursor ? 0 : -1;
      if (!row) {
        if (cell.row) this.#forget(cell);
        return;
      }
      this.#fillCell(cell, row);
      if (row[4]) hashes.push(row[4]);
    });
  }

  #fillCell(cell, row) {
    const selected = isSelected(row[0]);
    const goes = leaving.peek().get(row[0]) ?? "";
    const state = states.peek()[row[2]]?.name ?? "";
    const label = stateLabel(state);
    const isAnother = cell.row?.[4] !== row[4];
    if (isAnother) this.#forget(cell);
    if (cell.row !== row || cell.selected !== selected || cell.goes !== goes || cell.label !== label) {
      cell.element.classList.remove("is-empty");
      cell.selected = selected;
      cell.goes = goes;
      cell.label = label;
      const title = classTitle(row[1]);
      cell.element.setAttribute("aria-selected", selected);
      cell.element.setAttribute("aria-label", `${row[3]}, class ${title}, ${goes || label}`);
      cell.element.draggable = selected;
      cell.element.classList.toggle("is-leaving", Boolean(goes));
      cell.element.dataset.state = state;
      cell.use.setAttribute("href", `#i-${state || QUIET}`);
      cell.badge.classList.toggle("is-quiet", state === QUIET);
      cell.badgeText.textContent = state === QUIET ? "" : (this.layout.side < SMALL && SHORT[state]) || label;
      cell.caption.textContent = row[3];
      cell.goesTo.textContent = goes;
      cell.element.title = `${row[3]} · ${label}`;
    }
    cell.row = row;
    if (isAnother) this.#remember(cell);
    if (!cell.shown) this.#setThumbnail(cell);
  }

  #remember(cell) {
    const hash = cell.row[4];
    if (!this.#byHash.has(hash)) this.#byHash.set(hash, new Set());
    this.#byHash.get(hash).add(cell);
  }

  #forget(cell) {
    const hash = cell.row?.[4];
    const cells = this.#byHash.get(hash);
    cells?.delete(cell);
    if (cells && !cells.size) this.#byHash.delete(hash);
    if (cell.shown) {
      cell.image.removeAttribute("src");
      cell.element.classList.remove("has-image", "has-no-image");
    }
    // Else the name and the state of the image before stay until the rows are there.
    if (cell.row) {
      cell.element.classList.add("is-empty");
      cell.element.removeAttribute("aria-label");
      cell.element.removeAttribute("title");
    }
    cell.row = null;
    cell.shown = false;
    cell.label = null;
  }

  /** A cell out of use shows nothing and stands for no image, so an index names one cell at most. */
  #retire(cell) {
    this.#forget(cell);
    cell.index = -1;
    delete cell.element.dataset.index;
  }

  #setThumbnail(cell) {
    const known = cell.row[4] ? this.thumbnails.get(cell.row[4]) : { error: "" };
    if (!known) return;
    cell.shown = true;
    if (known.url) {
      cell.image.src = known.url;
      cell.element.classList.add("has-image");
    } else cell.element.classList.add("has-no-image");
  }

  #showThumbnail(hash) {
    for (const cell of this.#byHash.get(hash) ?? []) if (!cell.shown) this.#setThumbnail(cell);
  }

  /** Draws marks and states again. */
  refresh() {
    this.#schedule();
  }

  cellAt(index) {
    const line = this.total ? this.#lines.get(this.layout.lineOf(index)) : null;
    return line?.cells.find((cell) => cell.index === index && !cell.element.hidden)?.element ?? null;
  }

  indexOf(target) {
    const cell = target.closest?.("[data-index]");
    return cell ? Number(cell.dataset.index) : null;
  }

  /** Makes an image the one that keys act on, and brings it into sight. */
  moveCursor(index, { focus = true, center = false } = {}) {
    if (!this.total) return;
    this.cursor = Math.min(Math.max(index, 0), this.total - 1);
    const y = this.layout.yOf(this.cursor);
    const room = this.layout.header + 4;
    if (center) this.scrollTo(y - (this.height - this.layout.side) / 2);
    else if (y - room < this.top) this.scrollTo(y - room);
    else if (y + this.layout.side + 72 > this.top + this.height) this.scrollTo(y + this.layout.side + 72 - this.height);
    this.draw();
    if (focus) this.focusCursor();
  }

  focusCursor() {
    const cell = this.cellAt(this.cursor);
    if (cell) cell.focus({ preventScroll: true });
    else this.scroller.focus({ preventScroll: true });
  }

  #keepFocus() {
    const cell = this.total ? this.cellAt(this.cursor) : null;
    this.scroller.tabIndex = cell ? -1 : 0;
    if (cell && document.activeElement === this.scroller) cell.focus({ preventScroll: true });
  }
}

function makeCell() {
  const part = (className) => {
    const element = document.createElement("span");
    element.className = className;
    return element;
  };
  const element = document.createElement("div");
  element.className = "cell is-empty";
  element.setAttribute("role", "gridcell");
  const image = document.createElement("img");
  image.alt = "";
  image.decoding = "async";
  image.draggable = false;
  const badge = part("badge");
  const icon = document.createElementNS(SVG, "svg");
  icon.setAttribute("class", "icon");
  icon.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  icon.append(use);
  const badgeText = part("badge-text");
  badge.append(icon, badgeText);
  const caption = part("caption");
  const goesTo = part("goes-to");
  const mark = part("mark");
  const check = icon.cloneNode(true);
  check.firstChild.setAttribute("href", "#i-check");
  mark.append(check);
  element.append(image, caption, badge, goesTo, mark);
  return { element, image, badge, use, badgeText, caption, goesTo, row: null, index: -1, shown: false };
}
