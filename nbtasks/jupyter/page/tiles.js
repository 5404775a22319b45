// @ts-check
// The squares of few calls: large enough to bear some letters of their items. Each is a button that opens its call.

class Tiles {
  /**
   * @param {Element} card
   * @param {Tables} tables
   * @param {(index: number | null, step: number) => void} onCell told which call is pointed at
   * @param {(index: number, byKey: boolean) => void} onOpen told which call is to be opened
   */
  constructor(card, tables, onCell, onOpen) {
    this.tables = tables;
    this.onCell = onCell;
    this.onOpen = onOpen;
    this.byKey = false; // the chosen one: it is announced by itself, for it has the focus
    this.chosen = 0;
    this.box = make("div", "nbt-tiles", card);
    this.box.setAttribute("role", "group");
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.box.addEventListener("mouseleave", () => this.onCell(null, 0));
    this.box.addEventListener("focusout", () => this.onCell(null, 0));
  }
  /** @param {string[]} letters @param {Store} store */
  draw(letters, store) {
    while (this.box.children.length > letters.length) this.box.lastElementChild?.remove();
    letters.forEach((text, index) => {
      const tile = this.box.children[index] ?? this.tile(index), { name, word } = this.tables.states[store.codes[index] ?? 0];
      setText(tile, text);
      tile.setAttribute("data-state", name);
      tile.setAttribute("aria-label", `${store.names.get(index) ?? text}, ${word}`);
    });
    this.reach();
  }
  /** @param {number} index */
  tile(index) {
    // No button element: that draws its text a little differently than the saved card does.
    const tile = make("div", "nbt-tile", this.box);
    tile.setAttribute("role", "button");
    tile.dataset.lmSuppressShortcuts = "true";
    tile.addEventListener("click", () => { this.chosen = index; this.reach(); this.onOpen(index, false); });
    tile.addEventListener("mouseenter", () => this.onCell(index, 1));
    tile.addEventListener("focus", () => this.onCell(index, 1));
    return tile;
  }
  /** One of them is reached with the Tab key, the others from there by arrows. */
  reach() {
    this.chosen = Math.max(0, Math.min(this.chosen, this.box.children.length - 1));
    [...this.box.children].forEach((tile, index) => { /** @type {HTMLElement} */ (tile).tabIndex = index === this.chosen ? 0 : -1; });
  }
  focus() { /** @type {HTMLElement | undefined} */ (this.box.children[this.chosen])?.focus({ preventScroll: true }); }
  /** How many stand in a row. */
  get columns() {
    const tiles = /** @type {HTMLElement[]} */ ([...this.box.children]), below = tiles.findIndex((tile) => tile.offsetTop > tiles[0].offsetTop);
    return below < 0 ? tiles.length : below;
  }
  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.onOpen(this.chosen, true);
      return;
    }
    const last = this.box.children.length - 1;
    /** @type {Record<string, number>} */
    const places = {
      ArrowLeft: this.chosen - 1, ArrowRight: this.chosen + 1, ArrowUp: this.chosen - this.columns, ArrowDown: this.chosen + this.columns,
      Home: 0, End: last,
    };
    if (!(event.key in places)) return;
    event.preventDefault();
    event.stopPropagation();
    if (places[event.key] < 0 || places[event.key] > last) return;
    this.chosen = places[event.key];
    this.reach();
    this.focus();
  }
}
