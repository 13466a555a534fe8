// Where each image stands in a grid of equal squares under group headings. Pure arithmetic: nothing is measured.
export const HEADER = 44;
const MOST_GROUPS = 20_000;

export class GridLayout {
  constructor({ width, cell, gap, total, groups, headings }) {
    this.gap = gap;
    this.total = total;
    this.columns = Math.max(Math.floor((width + gap) / (cell + gap)), 1);
    this.side = Math.floor((width - gap * (this.columns - 1)) / this.columns);
    this.step = this.side + gap;
    const useful = headings && groups.length && groups.length <= MOST_GROUPS && (groups.length > 1 || groups[0].label !== "");
    this.groups = useful ? groups : total ? [{ label: "", start: 0, count: total }] : [];
    this.header = useful ? HEADER : 0;
    const size = this.groups.length;
    this.firstLine = new Float64Array(size + 1);
    this.top = new Float64Array(size + 1);
    for (let at = 0; at < size; at += 1) {
      const rows = Math.ceil(this.groups[at].count / this.columns);
      this.firstLine[at + 1] = this.firstLine[at] + rows + (this.header ? 1 : 0);
      this.top[at + 1] = this.top[at] + this.header + rows * this.step + (this.header ? 12 : 0);
    }
    this.lines = size ? this.firstLine[size] : 0;
    this.height = size ? this.top[size] : 0;
  }

  /** The group of the largest entry that is not above the value. */
  #find(values, value) {
    let low = 0;
    let high = this.groups.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (values[middle] <= value) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  groupAt(y) {
    return this.#find(this.top, y);
  }

  groupOf(index) {
    let low = 0;
    let high = this.groups.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.groups[middle].start <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  lineAt(y) {
    if (!this.groups.length) return 0;
    const at = this.groupAt(Math.max(y, 0));
    const inside = Math.max(y, 0) - this.top[at] - this.header;
    const rows = Math.ceil(this.groups[at].count / this.columns);
    const row = Math.min(Math.max(Math.floor(inside / this.step), this.header ? -1 : 0), rows - 1);
    return this.firstLine[at] + row + (this.header ? 1 : 0);
  }

  /** One line: a heading, or a row of images {y, start, count}. */
  line(number) {
    const at = this.#find(this.firstLine, number);
    const group = this.groups[at];
    let row = number - this.firstLine[at];
    if (this.header) {
      if (row === 0) return { y: this.top[at], heading: group };
      row -= 1;
    }
    const start = group.start + row * this.columns;
    const count = Math.min(this.columns, group.start + group.count - start);
    return { y: this.top[at] + this.header + row * this.step, start, count };
  }

  lineOf(index) {
    const at = this.groupOf(index);
    const row = Math.floor((index - this.groups[at].start) / this.columns);
    return this.firstLine[at] + row + (this.header ? 1 : 0);
  }

  columnOf(index) {
    return (index - this.groups[this.groupOf(index)].start) % this.columns;
  }

  yOf(index) {
    return this.line(this.lineOf(index)).y;
  }

  /** The image one line above (-1) or below (1), in the same column as far as there is one. */
  vertical(index, direction) {
    const column = this.columnOf(index);
    let number = this.lineOf(index) + direction;
    while (number >= 0 && number < this.lines) {
      const line = this.line(number);
      if (!line.heading) return line.start + Math.min(column, line.count - 1);
      number += direction;
    }
    return index;
  }

  /** The stretches [first, last] of images inside a rectangle. */
  inside(left, top, right, bottom) {
    const found = [];
    if (!this.lines || bottom < 0) return found;
    const firstColumn = Math.max(Math.ceil((left - this.side) / this.step), 0);
    const lastColumn = Math.min(Math.floor(right / this.step), this.columns - 1);
    for (let number = this.lineAt(top); number < this.lines; number += 1) {
      const line = this.line(number);
      if (line.y > bottom) break;
      if (line.heading || line.y + this.side < top) continue;
      const last = Math.min(lastColumn, line.count - 1);
      if (firstColumn <= last) found.push([line.start + firstColumn, line.start + last]);
    }
    return found;
  }
}
