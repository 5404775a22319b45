// @ts-check
// A live list of runs or of workers: rows with buttons, a filter, what was said last.

const LOOK_EVERY_MS = 10000;
const FEW_ROWS = 2; // of so many rows the details are unfolded
/** @type {Record<string, string>} */
const WORDS = {
  card: "Card", logs: "Output", cancel: "Cancel", retry: "Retry", fewer: "− worker", more: "+ worker", restart: "Restart", log: "Log",
  run: "Run now", pause: "Pause", resume: "Resume", remove: "Remove",
};

/**
 * @typedef {{cells: string[], key: string, state: string, actions: string[], details: string[]}} PanelRow
 * @typedef {{title: string, columns: string[], rows: PanelRow[], notes: string[], tools: string[]}} PanelContent
 * @typedef {{cell: string, card: string, data: Record<string, any>, metadata: object}} Placement
 */

class PanelStore {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    /** @type {Set<PanelView>} */
    this.views = new Set();
    /** @type {PanelContent} */
    this.panel = model.get("panel");
    this.said = "";
    /** @type {Set<string>} */
    this.asked = new Set(); // buttons whose answer is awaited
    this.looking = false;
    this.line = new KernelLine(model, this);
    this.line.follow("panel", () => { this.panel = model.get("panel"); this.show(); });
    this.onPage = () => this.look();
    document.addEventListener("visibilitychange", this.onPage);
    this.line.greet();
    this.timer = setInterval(() => { if (this.looking) this.send({ t: "look" }); }, LOOK_EVERY_MS);
  }
  close() {
    clearInterval(this.timer);
    document.removeEventListener("visibilitychange", this.onPage);
    if (this.looking) this.send({ t: "away" });
    this.line.close();
  }
  /** Tell the kernel whether somebody may see it. */
  look() {
    const looking = document.visibilityState === "visible" && [...this.views].some((view) => view.seen);
    if (looking === this.looking) return;
    this.looking = looking;
    this.send({ t: looking ? "look" : "away" });
  }
  /** @param {any} message */
  receive(message) {
    if (message.k === "place") { for (const item of message.cards) this.place(item); return; }
    if (message.k === "panel") this.panel = message.panel;
    if (message.k === "said") { this.said = message.text; this.asked.clear(); }
    this.show();
  }
  /** Put a card where its cell shows it, in the place of what it has shown before. @param {Placement} item */
  place(item) {
    let ok = false;
    for (const cell of this.line.keeper.notebook?.cells ?? []) {
      if (/** @type {any} */ (cell).id !== item.cell || !cell.outputs) continue;
      const outputs = /** @type {any} */ (cell.outputs), output = { output_type: "display_data", data: item.data, metadata: item.metadata };
      let at = 0;
      while (at < outputs.length && !outputs.get(at).metadata?.nbtasks?.card) at++;
      if (at < outputs.length) outputs.set(at, output); else outputs.add(output);
      // What stood below it is what the calls had displayed: it stays, and the card brings it up to date.
      for (let below = 0; below < outputs.length; below++) {
        const { data, metadata } = outputs.get(below), mark = metadata?.nbtasks;
        if (!mark?.below) continue;
        const nbtasks = { ...mark, below: item.card, version: 0 };
        outputs.set(below, { output_type: "display_data", data, metadata: { ...metadata, nbtasks } });
      }
      ok = true;
    }
    this.send({ t: "placed", card: item.card, ok });
  }
  /** @param {object} content */
  send(content) {
    this.line.send(content);
  }
  gone() {
    this.said = "The kernel has ended or was restarted: run the cell again.";
    this.show();
  }
  /** @param {string} action @param {string} key */
  ask(action, key) {
    this.asked.add(`${action} ${key}`);
    this.said = "";
    this.send({ t: "do", action, key });
    this.show();
  }
  show() { for (const view of this.views) view.show(); }
}

class PanelView {
  /** @param {PanelStore} store @param {HTMLElement} el */
  constructor(store, el) {
    this.store = store;
    this.seen = false;
    this.drawn = "";
    /** @type {number | undefined} */
    this.later = undefined;
    /** @type {Map<string, boolean>} */
    this.open = new Map(); // whether the reader has unfolded a row, or folded it
    this.root = make("div", "nbt-card nbt-panel", el);
    this.root.dataset.lmSuppressShortcuts = "true";
    this.root.setAttribute("role", "group");
    const head = this.head = make("div", "nbt-head", this.root);
    this.title = make("span", "nbt-title", head);
    this.tools = make("span", "nbt-tools", head);
    this.filter = make("input", "nbt-filter", head);
    this.filter.type = "search";
    this.filter.placeholder = "Filter";
    this.filter.setAttribute("aria-label", "Show only rows with this text");
    this.filter.dataset.lmSuppressShortcuts = "true";
    this.filter.addEventListener("input", () => this.show());
    this.table = make("div", "nbt-table", this.root);
    this.notes = make("div", "", this.root);
    this.said = make("pre", "nbt-said", this.root);
    this.said.setAttribute("aria-live", "polite");
    this.sight = new IntersectionObserver((entries) => {
      this.seen = entries[entries.length - 1].isIntersecting;
      store.look();
    });
    this.sight.observe(this.root);
    store.views.add(this);
    this.show();
  }
  close() {
    this.sight.disconnect();
    clearTimeout(this.later);
    this.store.views.delete(this);
    this.store.look();
  }
  /** Whether somebody points at it or has selected some of it: what stands there then stays. */
  get busy() {
    const chosen = getSelection();
    return this.table.matches(":active") || (!!chosen && !chosen.isCollapsed && this.table.contains(chosen.anchorNode));
  }
  show() {
    if (this.busy) {
      clearTimeout(this.later);
      this.later = setTimeout(() => this.show(), 300);
      return;
    }
    const { panel, said } = this.store;
    const wanted = this.filter.value.trim().toLowerCase();
    const rows = panel.rows.filter((row) => !wanted || `${row.cells.join(" ")} ${row.state}`.toLowerCase().includes(wanted));
    const key = JSON.stringify([panel, wanted, said, [...this.store.asked], [...this.open]]);
    if (key === this.drawn) return;
    this.drawn = key;
    this.root.setAttribute("aria-label", panel.title || panel.columns[1]);
    setText(this.title, panel.title);
    this.filter.hidden = panel.rows.length < 2;
    this.head.hidden = this.filter.hidden && !panel.title && !panel.tools.length;
    const focus = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset?.button;
    this.tools.replaceChildren(...panel.tools.map((action) => this.button(action, "")));
    this.table.replaceChildren(...(rows.length ? [this.grid(panel, rows)] : []));
    this.notes.replaceChildren(...panel.notes.map((note) => { const line = make("div", "nbt-note"); line.textContent = note; return line; }));
    this.said.hidden = !said;
    setText(this.said, said);
    if (focus) /** @type {HTMLElement | null} */ (this.root.querySelector(`[data-button="${CSS.escape(focus)}"]`))?.focus();
  }
  /** @param {PanelContent} panel @param {PanelRow[]} rows */
  grid(panel, rows) {
    const table = make("table"), names = make("tr", "", make("thead", "", table)), body = make("tbody", "", table);
    for (const name of panel.columns) make("th", "", names).textContent = name;
    make("span", "nbt-unseen", make("th", "", names)).textContent = "actions";
    for (const row of rows) this.line(row, body, panel.columns.length + 1);
    return table;
  }
  /** @param {PanelRow} row @param {Element} body @param {number} width */
  line(row, body, width) {
    const line = make("tr", "", body), opened = this.open.get(row.key) ?? this.store.panel.rows.length <= FEW_ROWS;
    row.cells.forEach((text, place) => {
      const cell = make("td", "", line);
      if (place === 0 && row.state) make("span", "nbt-dot", cell).style.background = colourOf(row.state);
      cell.append(text);
    });
    const last = make("td", "nbt-actions", line);
    if (row.details.length) {
      const unfold = makeButton("nbt-button", last, opened ? "Less" : "More", () => {
        this.open.set(row.key, !opened);
        this.show();
      });
      unfold.dataset.button = `unfold ${row.key}`;
      unfold.setAttribute("aria-expanded", String(opened));
    }
    for (const action of row.actions) last.append(this.button(action, row.key));
    if (!opened || !row.details.length) return;
    const details = make("td", "nbt-details", make("tr", "", body));
    details.colSpan = width;
    details.textContent = row.details.join("\n");
  }
  /** @param {string} action @param {string} key */
  button(action, key) {
    const button = makeButton("nbt-button", undefined, WORDS[action] ?? action, () => this.store.ask(action, key));
    button.dataset.button = `${action} ${key}`;
    button.disabled = this.store.asked.has(`${action} ${key}`);
    return button;
  }
}
