// @ts-check
// Tasks: the calls of all notebooks, newest first, as far as they fit the filters.

const TYPED_FOR_MS = 250, PAGE_ROWS = 100;
/** @type {[seconds: number, words: string][]} */
const SPANS_BACK = [[0, "any time"], [60, "last minute"], [300, "last 5 minutes"], [3600, "last hour"], [86400, "last day"]];

class TasksPage {
  /** @param {HTMLElement} parent @param {Home} home */
  constructor(parent, home) {
    this.home = home;
    /** @type {Filters} */
    this.filters = {};
    this.back = 0;
    /** @type {string | null} */
    this.next = null;
    /** @type {string[]} cursors of the pages before this one */
    this.turned = [];
    /** @type {number | undefined} */
    this.typed = undefined;
    this.held = false;
    const states = this.states = make("div", "nbt-chips", parent);
    states.setAttribute("role", "group");
    states.setAttribute("aria-label", "State");
    this.chips = ["", "PENDING", "STARTED", "RETRY", "SUCCESS", "FAILURE", "REVOKED"].map((state) => {
      const chip = makeButton("nbt-chip", states, "", () => this.set({ state }));
      if (state) mark(state, chip);
      chip.append(state ? wordOf(state) : "all");
      chip.dataset.state = state;
      return chip;
    });
    const bar = make("div", "nbt-filters", parent);
    this.text = makeField("", bar, "Arguments, errors, ids", "Only calls with this text", { type: "search" });
    this.text.addEventListener("input", () => {
      clearTimeout(this.typed);
      this.typed = setTimeout(() => this.set({ text: this.text.value.trim() }), TYPED_FOR_MS);
    });
    this.task = chooser(bar, "Task", (task) => this.set({ task }));
    this.worker = chooser(bar, "Worker", (worker) => this.set({ worker }));
    this.time = chooser(bar, "Time", (back) => { this.back = Number(back); this.set({}); });
    fillChooser(this.time, SPANS_BACK.map(([seconds, words]) => [String(seconds), words]), "0");
    this.hold = makeButton("nbt-button", bar, "Pause", () => this.pause(!this.held));
    this.hold.setAttribute("aria-pressed", "false");
    this.count = make("span", "nbt-sum", bar);
    this.count.setAttribute("role", "status");
    /** @type {Grid<CallRow>} */
    this.grid = new Grid(parent, "Calls", [
      { name: "state", kind: "state", put: (cell, { state, note }) => putState(cell, state, note) },
      { name: "task", kind: "wide", by: true, put: (cell, row) => putCall(cell, row.task, row.id, home) },
      { name: "arguments", kind: "mono", put: (cell, { args }) => putText(cell, args) },
      { name: "ran", kind: "number", by: true, put: (cell, row) => this.putRan(cell, row) },
      { name: "submitted", by: true, put: (cell, row) => setText(cell, moment(row.queued_at, home.now)) },
      { name: "worker", by: true, put: (cell, { worker }) => putText(cell, worker ?? "") },
      { name: "retries", kind: "number", by: true, put: (cell, { retries }) => setText(cell, retries ? thousands(retries) : "") },
      { name: "error", kind: "wide", by: true, put: (cell, { error }) => { putText(cell, error ?? ""); cell.classList.toggle("nbt-bad", !!error); } },
      { name: "from", put: (cell, { client }) => putText(cell, client ?? "") },
    ], ({ id }) => id, "");
    this.grid.onOrder = (sort, down) => this.set({ sort, down: sort ? String(down) : "" });
    const foot = make("div", "nbt-turn", parent);
    this.newer = makeButton("nbt-button", foot, "‹ Newer", () => this.turn(-1));
    this.older = makeButton("nbt-button", foot, "Older ›", () => this.turn(1));
    this.mark();
  }
  get asks() {
    const asked = { ...this.filters, limit: PAGE_ROWS, since_s: this.back };
    return Object.fromEntries(Object.entries(asked).filter(([, value]) => value));
  }
  /** What stands in the page's address. @returns {Filters} */
  get place() {
    const { before, ...kept } = this.filters;
    return kept;
  }
  /** @param {Filters} filters */
  set(filters) {
    this.filters = { ...this.filters, ...filters };
    delete this.filters.before;
    this.turned = [];
    this.mark();
    this.pause(false);
    this.home.ask();
  }
  /** Filters that another page has chosen. @param {Filters} filters */
  enter({ state = "", task = "", worker = "", text = "", sort = "", down = "" }) {
    this.text.value = text;
    this.filters = { state, task, worker, text, sort, down };
    this.turned = [];
    this.mark();
  }
  mark() {
    for (const chip of this.chips) chip.setAttribute("aria-pressed", String((this.filters.state ?? "") === chip.dataset.state));
    this.grid?.ordered(this.filters.sort ?? "", this.filters.down === "true");
  }
  /** @param {boolean} held */
  pause(held) {
    this.held = held;
    setText(this.hold, held ? "Go on" : "Pause");
    this.hold.setAttribute("aria-pressed", String(held));
  }
  /** @param {number} by */
  turn(by) {
    if (by > 0 && this.next) {
      this.turned.push(this.filters.before ?? "");
      this.filters = { ...this.filters, before: this.next };
    } else if (by < 0 && this.turned.length) this.filters = { ...this.filters, before: this.turned.pop() };
    this.pause(false);
    this.home.ask();
    this.grid.scroll.scrollTop = 0;
  }
  /** @param {HTMLElement} cell @param {CallRow} row */
  putRan(cell, row) {
    const since = row.state === "STARTED" ? row.started_at : null;
    cell.dataset.since = since === null ? "" : String(since);
    setText(cell, since === null ? span(row.runtime_s) : this.lasted(since));
  }
  /** @param {number} since */
  lasted(since) { return span(Math.max(0, Math.round(10 * (this.home.clock() - since)) / 10)); }
  /** @param {TasksData} data */
  show(data) {
    if (this.held) return;
    this.next = data.next;
    offer(this.task, "all tasks", data.tasks, this.filters.task ?? "");
    offer(this.worker, "all workers", data.workers, this.filters.worker ?? "");
    const filtered = Object.keys(this.asks).some((name) => !["limit", "before", "sort", "down"].includes(name));
    this.grid.show(data.rows, filtered ? "No call fits these filters." : "No call was submitted since events are kept.");
    const kept = data.seen > data.kept ? `; the newest ${thousands(data.kept)} of ${thousands(data.seen)} are kept` : "";
    setText(this.count, `${counted(data.total, "call")}${filtered ? " fit" : ""}${kept}`);
    this.newer.disabled = !this.turned.length;
    this.older.disabled = !data.next;
    this.newer.hidden = this.older.hidden = !data.next && !this.turned.length;
    this.grid.mark(this.home.opened ?? "");
  }
  /** @param {string} id */
  opened(id) { this.grid.mark(id); }
  /** @param {string} id */
  linkTo(id) { return this.grid.linkOf(id); }
  tick() {
    if (this.held) return;
    for (const cell of /** @type {NodeListOf<HTMLElement>} */ (this.grid.body.querySelectorAll("td.nbt-number"))) {
      if (cell.dataset.since) setText(cell, this.lasted(Number(cell.dataset.since)));
    }
  }
}
