// @ts-check
// The calls that run, with their progress: one row each.

class RunningRows {
  /** @param {Element} parent @param {Store} store */
  constructor(parent, store) {
    this.store = store;
    this.box = make("div", "nbt-running", parent);
  }
  /** @param {View} view */
  draw(view) {
    // Short calls come and go too fast to read: only those that run for a while or report progress get a row.
    const now = this.store.now();
    const rows = view.rows.filter((row) => row.far || !view.many || now - row.started_at > 2);
    this.box.hidden = view.done;
    this.box.replaceChildren(...rows.map((row) => this.row(row, view.many)));
    if (!rows.length && view.done) this.box.style.minHeight = "";
    else this.box.style.minHeight = Math.max(parseFloat(this.box.style.minHeight) || 0, rows.length * 20) + "px";
  }
  /** @param {Row} row @param {boolean} many */
  row(row, many) {
    const node = make("div", "nbt-row");
    if (row.what) {
      const what = make("span", "nbt-what", node);
      what.textContent = row.what;
      what.title = row.label;
    }
    if (row.share !== null) make("i", "", make("span", "nbt-mini", node)).style.width = `${100 * row.share}%`;
    make("span", "nbt-far", node).textContent = row.far;
    make("span", "nbt-worker", node).textContent = row.worker;
    const time = make("span", "nbt-for", node);
    time.dataset.since = String(row.started_at);
    time.hidden = !many;
    return node;
  }
  /** @param {number} now seconds, by the kernel's clock */
  tick(now) {
    for (const node of this.box.querySelectorAll("span")) {
      if (node.dataset.since) setText(node, clock(Math.max(0, now - Number(node.dataset.since)), this.store.tables.spans));
    }
  }
}
