// A grid of any number of rows of which only those in sight are elements.
//
// All rows are equally high (the height of `.virtual-row` in the style sheet). An element stands for
// row `index % pool`, so scrolling by one row writes into one element. A screen reader is told by
// aria-rowcount and aria-rowindex where it is. It follows the end until somebody scrolls up.

import { h } from "./dom.js";
import { beforeNextPicture } from "./redraw.js";

const BEYOND = 6; // rows above and below what is in sight
const RESTS_MS = 300; // after which a list that was drawn is at rest
const NEAR = 4; // rows; whoever scrolls down so near to an end that runs away has reached it

export class VirtualList {
  #scroller;
  #body;
  #makeRow;
  #fillRow;
  #rows = []; // the elements, by index % length
  #count = 0;
  #rowHeight = 24;
  #headHeight = 0;
  #selected = -1;
  #isFollowing = true;
  #sorting = 0; // until nothing has moved for a while
  #lastTop = 0; // where it was scrolled to when that was last looked at
  #refresh = beforeNextPicture(() => this.#draw());

  /**
   * Fill an element with a grid. It dispatches `list-open` when somebody opens the selected row,
   * and `list-follow` when it begins or stops to follow the end.
   *
   * @param {HTMLElement} scroller - becomes the grid; its height comes from the style sheet.
   * @param {object} parts
   * @param {HTMLElement} parts.head - the row of column headers; stays on top.
   * @param {() => HTMLElement} parts.makeRow - makes an empty row.
   * @param {(row: HTMLElement, index: number) => void} parts.fillRow - writes row `index` into it.
   */
  constructor(scroller, { head, makeRow, fillRow }) {
    this.#scroller = scroller;
    this.#makeRow = makeRow;
    this.#fillRow = fillRow;
    this.#body = h("div", { class: "virtual-body", role: "rowgroup" });
    head.setAttribute("aria-rowindex", "1");
    scroller.setAttribute("role", "grid");
    scroller.setAttribute("tabindex", "0");
    scroller.replaceChildren(h("div", { class: "virtual-head", role: "rowgroup" }, head), this.#body);
    this.#listen();
  }

  get selected() {
    return this.#selected;
  }

  get isFollowing() {
    return this.#isFollowing;
  }

  /** Say how many rows there are; `isNew`: none of them is what it was. */
  setCount(count, { isNew = false } = {}) {
    this.#count = count;
    if (isNew) for (const row of this.#rows) row.index = -1;
    if (this.#selected >= count) this.#selected = -1;
    this.#refresh();
  }

  /** Select a row and bring it into sight; -1: none. */
  select(index) {
    this.#selected = Math.min(index, this.#count - 1);
    if (this.#selected >= 0) {
      this.#setFollowing(this.#selected === this.#count - 1);
      this.#bringIntoSight(this.#selected);
    }
    this.#refresh();
  }

  /** Go to the end and stay there. */
  follow() {
    this.#setFollowing(true);
    this.#refresh();
  }

  /** Go to the beginning and stay there. */
  rewind() {
    this.#setFollowing(false);
    this.#scrollTo(0);
    this.#refresh();
  }

  #listen() {
    const scroller = this.#scroller;
    new ResizeObserver(() => this.#measure()).observe(scroller);
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    scroller.addEventListener("wheel", ({ deltaY }) => deltaY < 0 && scroller.scrollTop > 0 && this.#setFollowing(false), { passive: true });
    scroller.addEventListener("pointerdown", () => this.#touched(), { passive: true });
    scroller.addEventListener("keydown", (event) => this.#press(event));
    this.#body.addEventListener("click", ({ target }) => {
      const row = target.closest(".virtual-row");
      if (!row) return;
      this.select(row.index);
      this.#tell("open");
    });
  }

  /** Whoever points at a row finds it in place when they let go. */
  #touched() {
    this.#setFollowing(false);
    clearTimeout(this.#sorting);
  }

  #press(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const page = Math.max(1, Math.floor(this.#heightInSight() / this.#rowHeight) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key === "Enter" && this.#selected >= 0) this.#tell("open");
    else if (event.key in steps) this.step(steps[event.key]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Select a row so many further down; from nowhere, the one that is in sight at the top or the end. */
  step(rows) {
    if (this.#count === 0) return;
    const start = this.#isFollowing ? this.#count - 1 : Math.ceil(this.#scroller.scrollTop / this.#rowHeight);
    const next = this.#selected < 0 && Number.isFinite(rows) ? start : Math.max(0, this.#selected) + rows;
    this.select(Math.max(0, Math.min(next, this.#count - 1)));
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    if (scrollTop === this.#lastTop) return; // it was the list itself
    const isDown = scrollTop > this.#lastTop;
    this.#lastTop = scrollTop;
    const left = scrollHeight - clientHeight - scrollTop;
    const isStill = this.#isFollowing && left < 1; // a list with less to scroll is moved up by the browser
    this.#setFollowing(isStill || (isDown && left < NEAR * this.#rowHeight));
    this.#refresh();
  }

  #measure() {
    this.#lastTop = this.#scroller.scrollTop; // where a new size has moved it, nobody has scrolled
    const probe = this.#body.appendChild(this.#newRow());
    this.#rowHeight = probe.offsetHeight || this.#rowHeight;
    probe.remove();
    this.#headHeight = this.#scroller.firstElementChild.offsetHeight;
    for (const row of this.#rows) row.index = -1;
    if (!this.#isFollowing && this.#selected >= 0) this.#bringIntoSight(this.#selected);
    this.#refresh();
  }

  #draw() {
    const { clientHeight } = this.#scroller;
    if (clientHeight === 0) return; // not shown; `#measure` is called when it is
    this.#body.style.setProperty("height", `${this.#count * this.#rowHeight}px`);
    this.#scroller.setAttribute("aria-rowcount", this.#count + 1);
    if (this.#isFollowing) this.#scrollTo(this.#count * this.#rowHeight);
    const first = Math.max(0, Math.floor(this.#scroller.scrollTop / this.#rowHeight) - BEYOND);
    const wanted = Math.ceil(clientHeight / this.#rowHeight) + 2 * BEYOND;
    this.#resizePool(wanted);
    const last = Math.min(this.#count, first + wanted);
    for (let index = first; index < last; index += 1) this.#show(index);
    for (const row of this.#rows) row.hidden = row.index < first || row.index >= last;
    this.#pointAtSelected(first, last);
    clearTimeout(this.#sorting);
    this.#sorting = setTimeout(() => this.#sort(), RESTS_MS);
  }

  /** Put the rows into the order in which a screen reader reads them: by where they are, they are in any. */
  #sort() {
    const sorted = this.#rows.toSorted((one, other) => one.index - other.index);
    if (sorted.some((row, place) => row !== this.#body.children[place])) this.#body.replaceChildren(...sorted);
  }

  #show(index) {
    const row = this.#rows[index % this.#rows.length];
    if (row.index !== index) {
      row.index = index;
      row.id = `${this.#scroller.id}-${index}`;
      row.setAttribute("aria-rowindex", index + 2);
      row.style.setProperty("transform", `translateY(${index * this.#rowHeight}px)`);
      this.#fillRow(row, index);
    }
    const isSelected = String(index === this.#selected);
    if (row.ariaSelected !== isSelected) row.ariaSelected = isSelected;
  }

  #pointAtSelected(first, last) {
    const isThere = this.#selected >= first && this.#selected < last;
    if (isThere) this.#scroller.setAttribute("aria-activedescendant", `${this.#scroller.id}-${this.#selected}`);
    else this.#scroller.removeAttribute("aria-activedescendant");
  }

  #resizePool(wanted) {
    if (this.#rows.length >= wanted) return;
    while (this.#rows.length < wanted) this.#rows.push(this.#newRow());
    for (const row of this.#rows) row.index = -1;
    this.#body.replaceChildren(...this.#rows);
  }

  #newRow() {
    const row = this.#makeRow();
    row.classList.add("virtual-row");
    row.setAttribute("role", "row");
    row.index = -1;
    return row;
  }

  #bringIntoSight(index) {
    const top = index * this.#rowHeight;
    const { scrollTop } = this.#scroller;
    const height = this.#heightInSight();
    if (top < scrollTop) this.#scrollTo(top);
    else if (top + this.#rowHeight > scrollTop + height) this.#scrollTo(top + this.#rowHeight - height);
  }

  #heightInSight() {
    return this.#scroller.clientHeight - this.#headHeight;
  }

  #scrollTo(top) {
    this.#scroller.scrollTop = top;
    this.#lastTop = this.#scroller.scrollTop;
  }

  #setFollowing(isFollowing) {
    if (this.#isFollowing === isFollowing) return;
    this.#isFollowing = isFollowing;
    this.#tell("follow");
  }

  #tell(what) {
    this.#scroller.dispatchEvent(new CustomEvent(`list-${what}`));
  }
}
