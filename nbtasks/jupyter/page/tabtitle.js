// @ts-check
// While calls run, the tab's title says how far they are: of all cards of the page in one number.

const PERCENT = /^\d+ % · /;

class TabTitle {
  constructor() {
    /** @type {Map<object, {value: number, most: number}>} */
    this.runs = new Map();
  }
  /** All cards of the page share one; each has scripts of its own. @returns {TabTitle} */
  static get shared() {
    const page = /** @type {{nbtasksTabTitle?: TabTitle}} */ (/** @type {unknown} */ (window));
    return page.nbtasksTabTitle ??= new TabTitle();
  }
  /** @param {object} card @param {View | null} view nothing where nobody knows how far it is */
  show(card, view) {
    const told = view && !view.done && !view.bar.slides && view.bar.most > 1;
    if (!told && !this.runs.delete(card)) return;
    if (told) this.runs.set(card, view.bar);
    let value = 0, most = 0;
    for (const run of this.runs.values()) { value += run.value; most += run.most; }
    // Jupyter changes the title as well, and then it has no number.
    const own = document.title.replace(PERCENT, "");
    const title = most ? `${Math.floor((100 * value) / most)} % · ${own}` : own;
    if (title !== document.title) document.title = title;
  }
}
