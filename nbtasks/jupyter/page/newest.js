// @ts-check
// The newest results of many calls, beside each other; each opens its call. They stand for two seconds at least: card/newest.py.

class ResultStrip {
  /**
   * @param {Element} parent @param {Store} store
   * @param {(index: number, byKey: boolean) => void} onOpen told which call is to be opened
   */
  constructor(parent, store, onOpen) {
    this.store = store;
    this.onOpen = onOpen;
    /** @type {NewResult[]} */
    this.drawn = [];
    /** @type {Map<string, HTMLElement>} */
    this.boxes = new Map();
    this.box = make("div", "nbt-newest", parent);
    this.box.setAttribute("role", "group");
    this.title = make("span", "nbt-newest-title", this.box);
  }
  /** @param {View} view */
  draw(view) {
    const results = this.store.newest;
    this.box.hidden = !results.length;
    if (results === this.drawn) return;
    this.drawn = results;
    setText(this.title, view.newest);
    this.box.setAttribute("aria-label", view.newest);
    const had = this.boxes, focused = [...had.values()].some((box) => box === document.activeElement);
    this.boxes = new Map(results.map((result) => {
      const key = `${result.index} ${result.png?.length ?? result.text}`;
      return [key, had.get(key) ?? this.result(result)];
    }));
    arrange(this.box, [this.title, ...this.boxes.values()]);
    // What had the focus is gone, and Jupyter would take the next key for its own.
    if (focused && !this.box.contains(document.activeElement)) this.boxes.values().next().value?.focus({ preventScroll: true });
  }
  /** @param {NewResult} result */
  result({ index, what, text, png }) {
    const box = make("div", "nbt-result");
    box.setAttribute("role", "button");
    box.setAttribute("aria-label", `${what}: ${png ? "a picture" : text}`);
    box.title = text;
    box.tabIndex = 0;
    box.dataset.lmSuppressShortcuts = "true";
    box.addEventListener("click", () => this.onOpen(index, false));
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      this.onOpen(index, true);
    });
    make("bdi", "", make("span", "nbt-result-what", box)).textContent = what;
    if (!png) { make("pre", "nbt-short", box).textContent = text; return box; }
    const image = make("img", "", box);
    image.alt = "";
    image.src = `data:image/png;base64,${png}`;
    return box;
  }
}
