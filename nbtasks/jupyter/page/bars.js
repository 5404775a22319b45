// @ts-check
// The bars that a call has on show, such as tqdm's: one row each, and what runs within another is set in.

class BarRows {
  /** @param {Element} parent */
  constructor(parent) {
    this.box = make("div", "nbt-bars", parent);
  }
  /** @param {View} view */
  draw({ bars }) {
    this.box.hidden = !bars.length;
    while (this.box.children.length > bars.length) this.box.lastElementChild?.remove();
    bars.forEach((bar, place) => this.put(this.box.children[place] ?? this.row(), bar));
  }
  row() {
    const node = make("div", "nbt-row", this.box);
    make("span", "nbt-what", node);
    make("i", "", make("span", "nbt-mini", node));
    make("span", "nbt-far", node);
    return node;
  }
  /** @param {Element} node @param {BarSaid} bar */
  put(node, bar) {
    const [what, mini, far] = /** @type {HTMLElement[]} */ ([...node.children]);
    /** @type {HTMLElement} */ (node).style.paddingLeft = `${14 * bar.depth}px`;
    setText(what, bar.description);
    what.title = bar.description;
    what.hidden = !bar.description;
    mini.hidden = bar.share === null;
    /** @type {HTMLElement} */ (mini.firstElementChild).style.width = `${100 * (bar.share ?? 0)}%`;
    setText(far, bar.far);
  }
}
