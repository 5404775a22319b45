// @ts-check
// A table that is kept up to date: rows keep their elements, so that focus, selection and place stay.

/**
 * @template R
 * @typedef {{name: string, kind?: "number" | "mono" | "state" | "wide" | "do", least?: number, put(cell: HTMLElement, row: R): void, by?: true | ((row: R) => number | string)}} Column
 * What a column is ordered by: `true` where the home has more rows than are here, and orders them itself.
 */

/** Pixels that a column needs, by its kind; less, and the table scrolls. @type {Record<string, number>} */
const LEAST_WIDTHS = { number: 54, mono: 110, state: 90, wide: 122, do: 190 };

/** @template R */
class Grid {
  /**
   * @param {Element} parent @param {string} caption @param {Column<R>[]} columns
   * @param {(row: R) => string} keyOf @param {string} empty what is said where there is no row
   */
  constructor(parent, caption, columns, keyOf, empty) {
    this.columns = columns;
    this.keyOf = keyOf;
    /** @type {R[]} */
    this.rows = [];
    /** @type {Map<string, HTMLTableRowElement>} */
    this.lines = new Map();
    /** @type {{place: number, down: boolean} | null} */
    this.order = null;
    this.chosen = "";
    /** The home is to order the rows. @type {(name: string, down: boolean) => void} */
    this.onOrder = () => {};
    this.awaited = ""; // the row that gets the focus when it is there again
    this.scroll = ownKeys(make("div", "nbt-scroll", parent));
    this.scroll.tabIndex = 0;
    this.scroll.setAttribute("role", "region");
    this.scroll.setAttribute("aria-label", `${caption}, table`);
    const table = this.table = make("table", "nbt-grid", this.scroll);
    table.style.minWidth = `${columns.reduce((sum, { kind, least }) => sum + (least ?? LEAST_WIDTHS[kind ?? ""] ?? 84), 0)}px`;
    make("caption", "nbt-unseen", table).textContent = caption;
    const names = make("tr", "", make("thead", "", table));
    this.heads = columns.map((column, place) => {
      const head = make("th", column.kind ? `nbt-${column.kind}` : "", names);
      head.scope = "col";
      if (column.by) makeButton("nbt-sort", head, column.name, () => this.sort(place));
      else if (column.kind === "do") make("span", "nbt-unseen", head).textContent = column.name;
      else head.textContent = column.name;
      return head;
    });
    this.body = make("tbody", "", table);
    this.empty = make("p", "nbt-empty", parent);
    this.empty.tabIndex = -1;
    setText(this.empty, empty);
    this.scroll.addEventListener("keydown", (event) => this.key(event));
  }
  /** @param {number} place */
  sort(place) {
    const down = this.order?.place === place ? !this.order.down : this.columns[place].kind === "number";
    this.order = this.order?.place === place && this.order.down !== (this.columns[place].kind === "number") ? null : { place, down };
    this.markOrder();
    if (this.columns[place].by === true) this.onOrder(this.order ? this.columns[place].name : "", down);
    else this.show(this.rows);
  }
  /** The home has ordered the rows so. @param {string} name @param {boolean} down */
  ordered(name, down) {
    const place = this.columns.findIndex((column) => column.name === name);
    this.order = place < 0 ? null : { place, down };
    this.markOrder();
  }
  markOrder() {
    this.heads.forEach((head, at) => {
      if (at === this.order?.place) head.setAttribute("aria-sort", this.order.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  }
  /** @param {R[]} rows */
  sorted(rows) {
    const by = this.order && this.columns[this.order.place].by, sign = this.order?.down ? -1 : 1;
    if (!by || by === true) return rows;
    return [...rows].sort((one, other) => {
      const left = by(one), right = by(other);
      return left < right ? -sign : left > right ? sign : 0;
    });
  }
  /** @param {R[]} rows @param {string} [empty] */
  show(rows, empty) {
    this.rows = rows;
    const held = /** @type {HTMLElement | null} */ (document.activeElement), ours = !!held && (held === this.empty || this.scroll.contains(held));
    const row = ours && held ? /** @type {HTMLElement | null} */ (held.closest("tbody tr"))?.dataset.key : undefined;
    if (empty !== undefined) setText(this.empty, empty);
    this.empty.hidden = rows.length > 0;
    this.scroll.hidden = !rows.length;
    const keys = new Set(), nodes = this.sorted(rows).map((row) => {
      const key = this.keyOf(row), line = this.lines.get(key) ?? this.line(key);
      keys.add(key);
      this.columns.forEach((column, place) => column.put(/** @type {HTMLElement} */ (line.children[place]), row));
      return line;
    });
    for (const key of this.lines.keys()) if (!keys.has(key)) this.lines.delete(key);
    arrange(this.body, nodes);
    if (ours && held) this.hold(held, row); else this.awaited = "";
    this.mark();
  }
  /**
   * Keep the focus, so that the keys go on working: a row that goes would take it along, and so would a table that is
   * empty. Then what stands in its place has it until the row is there again.
   * @param {HTMLElement} held @param {string | undefined} row in which that is
   */
  hold(held, row) {
    const standsIn = held === this.scroll || held === this.empty;
    if (!standsIn) this.awaited = "";
    if (!standsIn && held.isConnected && !this.scroll.hidden) {
      if (held !== document.activeElement) held.focus({ preventScroll: true });
      return;
    }
    const back = this.linkOf(row ?? this.awaited);
    if (back !== document.activeElement) back.focus({ preventScroll: true });
  }
  /** The link of a row, or what stands in its place as long as it is not there. @param {string} key @returns {HTMLElement} */
  linkOf(key) {
    const link = this.lines.get(key)?.querySelector("button");
    this.awaited = link ? "" : key;
    return link ?? (this.scroll.hidden ? this.empty : this.scroll);
  }
  /** @param {string} key */
  line(key) {
    const line = make("tr");
    line.dataset.key = key;
    for (const column of this.columns) make("td", column.kind ? `nbt-${column.kind}` : "", line);
    this.lines.set(key, line);
    return line;
  }
  /** Which row is open elsewhere. @param {string} [key] */
  mark(key = this.chosen) {
    this.chosen = key;
    for (const [own, line] of this.lines) line.classList.toggle("nbt-chosen", own === key);
  }
  /** Up and down go from row to row. @param {KeyboardEvent} event */
  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key], at = /** @type {Element} */ (event.target).closest("tr");
    if (!step || event.target instanceof HTMLInputElement) return;
    const links = [...this.body.querySelectorAll("tr")].map((line) => line.querySelector("button"));
    const from = at ? [...this.body.children].indexOf(at) : -1, to = links[Math.max(0, Math.min(links.length - 1, from + step))];
    if (!to) return;
    event.preventDefault();
    event.stopPropagation();
    to.focus();
  }
}
