// @ts-check
// The steps of a workflow, a row for each, with lines from those that it waits for: card/graph.py says what stands there.
// A row opens the call of its step that says most about it.

const ROW_HEIGHT = 24, LANE_WIDTH = 14, SVG = "http://www.w3.org/2000/svg";

class StepGraph {
  /** @param {Element} card @param {Tables} tables @param {(index: number, byKey: boolean) => void} onOpen */
  constructor(card, tables, onOpen) {
    this.tables = tables;
    this.onOpen = onOpen;
    this.chosen = 0; // among those that open something
    this.box = make("div", "nbt-graph", card);
    this.box.setAttribute("role", "group");
    this.box.setAttribute("aria-label", "Steps");
    this.box.addEventListener("keydown", (event) => this.key(event));
    /** @type {StepSaid[]} */
    this.drawn = [];
  }
  /** @param {StepSaid[]} rows */
  draw(rows) {
    this.box.hidden = !rows.length;
    if (rows === this.drawn) return;
    this.drawn = rows;
    while (this.box.children.length > rows.length) this.box.lastElementChild?.remove();
    rows.forEach((row, place) => {
      const node = /** @type {HTMLElement} */ (this.box.children[place] ?? make("div", "nbt-step", this.box));
      const now = JSON.stringify(row);
      if (node.dataset.row === now) return;
      node.dataset.row = now;
      this.fill(node, row);
    });
    this.reach();
  }
  /** @param {HTMLElement} node @param {StepSaid} row */
  fill(node, row) {
    node.replaceChildren();
    if (row.width) node.append(lanesOf(row));
    if (row.width) node.append(swatch(this.tables, row.state));
    make("bdi", "", make("span", "nbt-step-name", node)).textContent = row.name;
    if (row.squares.length) make("span", "nbt-squares-of", node).append(...row.squares.map((state) => swatch(this.tables, state)));
    if (row.parts.length) make("span", "nbt-mini", node).append(...row.parts.map(([state, share]) => {
      const part = make("i");
      part.style.width = `${100 * share}%`;
      part.style.backgroundColor = colourOf(state);
      return part;
    }));
    make("span", "nbt-far", node).textContent = row.said;
    node.title = `${row.name}: ${row.said}`;
    if (row.call < 0) { node.removeAttribute("role"); node.removeAttribute("tabindex"); node.removeAttribute("aria-label"); return; }
    node.setAttribute("role", "button");
    node.setAttribute("aria-label", `${row.name}: ${row.said}`);
    node.dataset.lmSuppressShortcuts = "true";
    node.onfocus = () => { this.chosen = this.buttons.indexOf(node); this.reach(); };
    node.onclick = () => { this.chosen = this.buttons.indexOf(node); this.reach(); this.onOpen(row.call, false); };
  }
  get buttons() { return /** @type {HTMLElement[]} */ ([...this.box.querySelectorAll('[role="button"]')]); }
  /** One of them is reached with the Tab key, the others from there by arrows. */
  reach() {
    const buttons = this.buttons;
    this.chosen = Math.max(0, Math.min(this.chosen, buttons.length - 1));
    buttons.forEach((button, place) => { button.tabIndex = place === this.chosen ? 0 : -1; });
  }
  focus() { this.buttons[this.chosen]?.focus({ preventScroll: true }); }
  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      const place = this.drawn.filter(({ call }) => call >= 0)[this.chosen];
      if (place) this.onOpen(place.call, true);
      return;
    }
    /** @type {Record<string, number>} */
    const places = { ArrowUp: this.chosen - 1, ArrowDown: this.chosen + 1, Home: 0, End: this.buttons.length - 1 };
    if (!(event.key in places)) return;
    event.preventDefault();
    event.stopPropagation();
    if (places[event.key] < 0 || places[event.key] >= this.buttons.length) return;
    this.chosen = places[event.key];
    this.reach();
    this.focus();
  }
}

/** @param {StepSaid} row */
function lanesOf(row) {
  const image = document.createElementNS(SVG, "svg"), lines = document.createElementNS(SVG, "path");
  const mark = document.createElementNS(SVG, "circle");
  image.setAttribute("class", "nbt-lanes");
  image.setAttribute("aria-hidden", "true");
  image.setAttribute("width", String(row.width * LANE_WIDTH));
  image.setAttribute("height", String(ROW_HEIGHT));
  lines.setAttribute("class", "nbt-step-lines");
  lines.setAttribute("d", row.path);
  mark.setAttribute("class", "nbt-step-mark");
  mark.setAttribute("cx", String(row.at * LANE_WIDTH + LANE_WIDTH / 2));
  mark.setAttribute("cy", String(ROW_HEIGHT / 2));
  mark.setAttribute("r", "3");
  image.append(lines, mark);
  return image;
}
