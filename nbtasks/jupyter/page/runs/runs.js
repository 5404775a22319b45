// @ts-check
// A list of runs: a row each, which opens to the run's card.

/**
 * @typedef {{
 *   key: string, title: string, state: string, dot: string, bar: Bar, ended: string, bad: string, created_at: number, took: string,
 *   runs: boolean,
 * }} RowOfRun
 * @typedef {{
 *   title: string, state: string, dot: string, bar: Bar, counts: Count[], created_at: number, took: string, done: boolean,
 *   can_retry: boolean, more: string, sentence: string, attach_hint: string,
 * }} ListSaid
 * @typedef {{model: RowModel, store: Store}} OpenCard
 */

class RunsStore {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    /** @type {Tables} */
    this.tables = model.get("tables");
    /** @type {Set<RunsView>} */
    this.views = new Set();
    /** @type {Map<string, RowOfRun>} */
    this.rows = new Map();
    /** @type {string[]} */
    this.order = [];
    /** @type {ListSaid | null} */
    this.head = null;
    this.seq = 0;
    this.ahead = 0;
    this.said = "";
    this.asked = "";
    /** @type {Map<string, OpenCard | null>} */
    this.cards = new Map(); // of rows that are open; null until the kernel has told the card
    this.line = new KernelLine(model, this);
    this.pulse = new Pulse(model, () => this.show());
    this.line.follow("list", () => this.load());
    this.load();
    this.line.greet({ keeps: this.line.keeper.keeps });
  }
  close() {
    TabTitle.shared.show(this, null);
    for (const key of [...this.cards.keys()]) this.shut(key);
    this.line.close();
    this.pulse.close();
  }
  load() {
    this.pulse.hear();
    const list = this.model.get("list") ?? {};
    if (list.head) this.take(list);
    this.show();
  }
  /** @param {{head: ListSaid, rows: RowOfRun[], order: string[], seq: number, now: number}} told */
  take({ head, rows, order, seq, now }) {
    this.head = head;
    this.seq = seq;
    this.ahead = now - Date.now() / 1000;
    for (const row of rows) this.rows.set(row.key, row);
    this.order = order ?? this.order;
  }
  /** @param {any} message @param {DataView[]} buffers */
  receive(message, buffers) {
    if (message.k === "of") { this.cards.get(message.key)?.model.take(message.m, buffers); return; }
    if (message.k === "opened") this.opened(message, buffers);
    if (message.k === "said") { this.said = message.text; this.asked = ""; }
    if (message.k === "runs") {
      if (!message.order && message.seq !== this.seq + 1) { this.send({ t: "resync" }); return; }
      this.take(message);
      if (this.head?.done) this.asked = "";
    }
    this.show();
  }
  /** @param {string} key */
  open(key) {
    if (this.cards.has(key)) { this.shut(key); } else { this.cards.set(key, null); this.send({ t: "open", key }); }
    this.show();
  }
  /** @param {string} key */
  shut(key) {
    this.cards.get(key)?.store.close();
    this.cards.delete(key);
    this.send({ t: "shut", key });
  }
  /** @param {{key: string, state: Record<string, any>}} message @param {DataView[]} buffers */
  opened({ key, state }, buffers) {
    if (!this.cards.has(key) || this.cards.get(key)) return;
    const model = new RowModel(key, { ...state, tables: this.tables, mosaic: buffers[0] }, (m) => this.send({ t: "of", key, m }));
    this.cards.set(key, { model, store: new Store(/** @type {any} */ (model)) });
  }
  /** @param {object} content */
  send(content) {
    this.line.send(content);
  }
  gone() { this.pulse.end(); }
  /** @param {string} command */
  ask(command) {
    this.asked = command;
    this.said = "";
    this.send({ t: command });
    this.show();
  }
  get lost() { return !!this.head && this.pulse.lost(/** @type {any} */ (this.head)); }
  now() { return (this.lost ? this.pulse.heardAt : Date.now()) / 1000 + this.ahead; }
  show() {
    TabTitle.shared.show(this, this.head && !this.lost ? /** @type {any} */ (this.head) : null);
    for (const view of this.views) view.show();
  }
}

class RunsView {
  /** @param {RunsStore} store @param {HTMLElement} el */
  constructor(store, el) {
    this.store = store;
    el.classList.add("nbt-host");
    this.root = make("div", "nbt-card nbt-list", el);
    this.root.dataset.lmSuppressShortcuts = "true";
    this.root.setAttribute("role", "group");
    const head = make("div", "nbt-head", this.root), title = make("span", "nbt-title", head);
    this.dot = make("span", "nbt-dot", title);
    this.title = make("bdi", "", title);
    this.state = make("span", "nbt-state", head);
    make("span", "nbt-meta", head);
    this.time = make("span", "nbt-time", head);
    this.cancel = makeButton("nbt-button nbt-cancel", head, "Cancel all", () => store.ask("cancel"));
    this.retry = makeButton("nbt-button nbt-retry", head, "Retry failed", () => store.ask("retry"));
    this.bar = new RunBar(make("div", "nbt-bar", this.root));
    this.bar.node.setAttribute("role", "progressbar");
    this.counts = make("div", "nbt-counts", this.root);
    this.list = make("div", "nbt-runs", this.root);
    this.list.tabIndex = -1;
    this.more = make("div", "nbt-note", this.root);
    this.note = make("div", "nbt-note", this.root);
    this.note.setAttribute("aria-live", "polite");
    /** @type {Map<string, RunLine>} */
    this.lines = new Map();
    this.timer = setInterval(() => this.tick(), 250);
    store.views.add(this);
    this.show();
  }
  close() {
    clearInterval(this.timer);
    for (const line of this.lines.values()) line.close();
    this.store.views.delete(this);
  }
  show() {
    const { head, order, rows, asked, said, pulse, lost } = this.store;
    if (!head) return;
    // Not as the card has it: what is said of the whole list is not to colour the cards in it.
    this.dot.style.background = colourOf(head.dot);
    this.root.dataset.done = String(head.done);
    this.root.dataset.lost = String(lost);
    this.root.setAttribute("aria-label", `${head.title}: ${head.state}`);
    setText(this.title, head.title);
    setText(this.state, lost && !head.done ? "not followed" : head.state);
    this.bar.show(head.bar);
    this.bar.say(head.bar, head.sentence);
    this.cancel.hidden = head.done || lost;
    this.cancel.disabled = asked === "cancel" || head.state === "stopping";
    this.retry.hidden = !head.done || !head.can_retry || lost;
    this.retry.disabled = asked === "retry";
    this.drawCounts(head);
    const nodes = order.flatMap((key) => {
      const row = rows.get(key);
      if (!row) return [];
      let line = this.lines.get(key);
      if (!line) this.lines.set(key, line = new RunLine(this.store, key));
      line.show(row);
      return line.nodes;
    });
    arrange(this.list, nodes);
    setText(this.more, head.more);
    this.more.hidden = !head.more;
    setText(this.note, pulse.says(/** @type {any} */ (head)) || said);
    this.note.hidden = !this.note.textContent;
    this.tick();
  }
  /** @param {ListSaid} head */
  drawCounts({ counts }) {
    const texts = counts.map(({ state, number, word }) => `${state} ${number} ${word}`).join();
    if (this.counts.dataset.texts === texts) return;
    this.counts.dataset.texts = texts;
    this.counts.replaceChildren(...counts.map(({ state, number, word }) => {
      const node = make("span", "nbt-count");
      node.append(swatch(this.store.tables, state));
      make("b", "", node).textContent = number;
      node.append(` ${word}`);
      return node;
    }));
  }
  tick() {
    const { head, tables } = this.store;
    if (!head) return;
    if (String(this.store.lost) !== this.root.dataset.lost) { this.store.show(); return; }
    const now = this.store.now();
    setText(this.time, head.took || clock(Math.max(0, now - head.created_at), tables.spans));
    for (const line of this.lines.values()) line.tick(now);
  }
}

/** One row, and below it the card of its run while it is open. */
class RunLine {
  /** @param {RunsStore} store @param {string} key */
  constructor(store, key) {
    this.store = store;
    this.key = key;
    /** @type {CardView | null} */
    this.card = null;
    /** @type {RowOfRun | null} */
    this.row = null;
    this.head = makeButton("nbt-run", undefined, "", () => store.open(key));
    const what = make("span", "nbt-what", this.head);
    this.dot = make("span", "nbt-dot", what);
    this.title = make("bdi", "", what);
    this.bar = new RunBar(make("span", "nbt-bar", this.head));
    this.ended = make("span", "nbt-ended", this.head);
    this.bad = make("span", "nbt-bad", this.head);
    this.took = make("span", "nbt-took", this.head);
    this.place = make("div", "nbt-opened");
  }
  close() { this.card?.close(); }
  get nodes() { return this.card ? [this.head, this.place] : [this.head]; }
  /** @param {RowOfRun} row */
  show(row) {
    this.row = row;
    this.head.setAttribute("aria-label", [row.title, row.state, row.ended, row.bad].filter(Boolean).join(", "));
    this.dot.style.background = colourOf(row.dot);
    setText(this.title, row.title);
    this.bar.show(row.bar);
    setText(this.ended, row.ended);
    setText(this.bad, row.bad);
    const open = this.store.cards.get(this.key);
    this.head.setAttribute("aria-expanded", String(this.store.cards.has(this.key)));
    if (open && !this.card) this.card = new CardView(open.store, make("div", "", this.place));
    if (!open && this.card) {
      this.card.close();
      this.card = null;
      this.place.replaceChildren();
    }
  }
  /** @param {number} now */
  tick(now) {
    if (!this.row) return;
    const { took, runs, created_at } = this.row;
    setText(this.took, took || (runs ? clock(Math.max(0, now - created_at), this.store.tables.spans) : ""));
  }
}

/** A bar whose parts keep their elements as long as they are the same ones. */
class RunBar {
  /** @param {HTMLElement} node */
  constructor(node) {
    this.node = node;
    this.states = "";
  }
  /** @param {Bar} bar */
  show({ parts, busy }) {
    const states = parts.map(([state]) => state).join();
    if (states !== this.states) {
      this.states = states;
      this.node.replaceChildren(...parts.map(([state]) => {
        const part = make("i", busy.includes(state) ? "nbt-busy" : "");
        part.style.backgroundColor = colourOf(state);
        return part;
      }));
    }
    parts.forEach(([, share], place) => { /** @type {HTMLElement} */ (this.node.children[place]).style.width = `${100 * share}%`; });
  }
  /** @param {Bar} bar @param {string} sentence */
  say({ value, most }, sentence) {
    this.node.setAttribute("aria-valuemin", "0");
    this.node.setAttribute("aria-valuemax", String(most));
    this.node.setAttribute("aria-valuenow", String(value));
    this.node.setAttribute("aria-valuetext", sentence);
    this.node.setAttribute("aria-label", "calls that have ended");
  }
}
