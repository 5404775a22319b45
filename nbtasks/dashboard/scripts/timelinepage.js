// @ts-check
// Timeline: a lane for each child, and what it ran when. The card's timeline draws it; here the window moves with the time.

/** @type {[seconds: number, words: string][]} */
const WINDOWS = [[60, "1 min"], [300, "5 min"], [900, "15 min"], [3600, "1 h"]];
/** Steps of the axis: round on a clock. */
const CLOCK_STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
const NARROW_LANES = 600, MOST_KNOWN = 50000, MOST_NAME = 40, MOST_OFFERED = 200, LEAST_LABEL = 44;

class TimelinePage {
  /** @param {HTMLElement} parent @param {Home} home */
  constructor(parent, home) {
    this.home = home;
    this.window = 300;
    /** @type {Map<string, number>} */
    this.numbers = new Map();
    /** @type {[id: string, task: string, lane: string][]} */
    this.calls = [];
    const bar = make("div", "nbt-filters", parent);
    const spans = make("div", "nbt-chips", bar);
    spans.setAttribute("role", "group");
    spans.setAttribute("aria-label", "How far back");
    this.chips = WINDOWS.map(([seconds, words]) => makeButton("nbt-chip", spans, words, () => this.follow(seconds)));
    this.filters = { task: "", worker: "" };
    /** @type {Set<string>} */
    this.tasks = new Set();
    /** @type {Set<string>} */
    this.workers = new Set();
    this.task = chooser(bar, "Task", (task) => this.choose({ task }));
    this.worker = chooser(bar, "Worker", (worker) => this.choose({ worker }));
    this.live = make("span", "nbt-sum", bar);
    this.live.setAttribute("role", "status");
    this.lanes = new Lanes(parent, this.store(), (number) => home.open(this.calls[number][0], this.lanes.canvas), this);
    this.lanes.box.hidden = false;
    this.empty = make("p", "nbt-empty", parent);
    setText(this.empty, "No worker is there, and no call has run in this time.");
    this.mark();
  }
  /** What the card's timeline asks of its card. @returns {any} */
  store() {
    return {
      tables: TABLES, view: { done: false }, askName: () => {}, send: () => this.home.ask(),
      nameOf: (/** @type {number} */ number) => oneLine(this.calls[number]?.[1]) || "call",
    };
  }
  get asks() {
    const { part, zero } = this.lanes;
    const named = Object.fromEntries(Object.entries(this.filters).filter(([, name]) => name));
    return part ? { ...named, from: zero + part[0], to: zero + part[1] } : { ...named, last_s: this.window };
  }
  /** @param {Partial<{task: string, worker: string}>} filters */
  choose(filters) {
    this.filters = { ...this.filters, ...filters };
    this.home.ask();
  }
  /** @param {number} seconds */
  follow(seconds) {
    this.window = seconds;
    this.lanes.show(null);
    this.mark();
  }
  mark() {
    const { part } = this.lanes;
    this.chips.forEach((chip, place) => chip.setAttribute("aria-pressed", String(!part && WINDOWS[place][0] === this.window)));
    setText(this.live, part ? "A part of it: “all” goes back to what happens now." : "");
  }
  /** @param {string} id @param {string} task @param {string} lane */
  number(id, task, lane) {
    let number = this.numbers.get(id);
    if (number === undefined) {
      if (this.numbers.size > MOST_KNOWN) { this.numbers.clear(); this.calls = []; }
      this.numbers.set(id, number = this.calls.length);
      this.calls.push([id, task, lane]);
    }
    return number;
  }
  /** @param {TimelineData} data */
  show(data) {
    const { lanes } = this;
    if (!lanes.zero) lanes.zero = Math.floor(data.from / 3600) * 3600;
    const { zero } = lanes, narrow = lanes.width < NARROW_LANES;
    /** @type {TimeSpan[]} */
    const spans = [];
    /** @type {[name: string, rows: number][]} */
    const names = [];
    for (const { worker, child, slot, bars } of data.lanes) {
      const short = oneLine(narrow ? worker.split("@")[0] : worker).slice(0, MOST_NAME), name = child === null ? short : `${short} #${child}`;
      // Calls that one child runs side by side stand below each other, in one lane.
      this.workers.add(worker);
      if (slot) names[names.length - 1][1] = slot + 1; else names.push([name, 1]);
      for (const [begin, end, state, id, task] of bars) {
        this.tasks.add(task);
        const code = Math.max(0, TABLES.states.findIndex((known) => known.name === state));
        spans.push([names.length - 1, slot ?? 0, null, begin - zero, (end ?? data.now) - zero, code, this.number(id, task, name), 1, []]);
      }
    }
    offer(this.task, "all tasks", [...this.tasks].slice(0, MOST_OFFERED), this.filters.task);
    offer(this.worker, "all workers", [...this.workers].slice(0, MOST_OFFERED), this.filters.worker);
    this.empty.hidden = names.length > 0;
    lanes.box.hidden = !names.length;
    const part = lanes.part ?? [data.from - zero, data.to - zero];
    lanes.put({
      k: "timeline", number: 0, took: data.now - zero, from: part[0], to: part[1], queued: 0, lanes: names, spans, cost_s: 0, done: false,
      hidden: data.more ? `${counted(data.more, "shorter call")} not shown: zoom in` : "",
    });
  }
}

class Lanes extends TimelineView {
  /** @param {Element} parent @param {any} store @param {(number: number) => void} onOpen @param {TimelinePage} page */
  constructor(parent, store, onOpen, page) {
    super(parent, store, onOpen);
    this.page = page;
    this.zero = 0; // epoch seconds that times are counted from
    this.canvas.setAttribute("aria-label", "When calls ran, and on which child");
    this.sight = new ResizeObserver(() => this.draw());
    this.sight.observe(this.box);
  }
  ask() { this.store.send({}); }
  /** @param {[number, number] | null} part */
  show(part) {
    this.part = part && part[1] - part[0] > 1e-5 ? part : null;
    if (this.said && this.part) { [this.said.from, this.said.to] = this.part; this.draw(); }
    this.page.mark();
    this.ask();
  }
  /** @param {TimelineSaid} said */
  put(said) {
    this.said = said;
    this.canvas.dataset.seconds = (said.to - said.from).toFixed();
    this.explain(said);
    // The same bar goes on being the chosen one, though it may have grown.
    if (this.chosen) this.chosen = said.spans.find((span) => span[6] === this.chosen?.[6]) ?? null;
    this.draw();
    if (this.chosen) setText(this.text, this.told(this.chosen));
  }
  /** @param {CanvasRenderingContext2D} pen @param {number} top @param {string} ink @param {string} line */
  drawAxis(pen, top, ink, line) {
    if (!this.said) return;
    const { from, to } = this.said, most = Math.max(2, Math.floor((this.width - this.left) / 90));
    const every = CLOCK_STEPS.find((step) => (to - from) / step <= most) ?? CLOCK_STEPS[CLOCK_STEPS.length - 1];
    for (let number = Math.ceil(from / every); number * every <= to; number++) {
      const x = this.x(number * every), date = new Date((this.zero + number * every) * 1000);
      const text = every < 1 ? `${date.toLocaleTimeString("en-GB")}.${String(date.getMilliseconds()).padStart(3, "0")}`
        : every < 60 ? date.toLocaleTimeString("en-GB") : date.toLocaleTimeString("en-GB").slice(0, 5);
      pen.fillStyle = line;
      pen.fillRect(x, 0, 1, top + 3);
      pen.fillStyle = ink;
      if (x + 52 < this.width) pen.fillText(text, x, top + 10);
    }
  }
  /** @param {CanvasRenderingContext2D} pen @param {TimeSpan} span @param {number[]} tops @param {string[]} colours @param {string} ink */
  drawSpan(pen, span, tops, colours, ink) {
    super.drawSpan(pen, span, tops, colours, ink);
    // Where there is room, a bar bears the name of its task. Black is read on all grounds that are full.
    const left = Math.max(this.left, this.x(span[3])), width = Math.min(this.x(span[4]), this.width) - left;
    if (width < LEAST_LABEL || TABLES.states[span[5]].name !== "SUCCESS") return;
    const { row, bar } = this.sizes, top = tops[span[0]] + span[1] * row + 1;
    pen.save();
    pen.beginPath();
    pen.rect(left, top, width - 3, bar);
    pen.clip();
    pen.fillStyle = "#000";
    pen.font = pen.font.replace("11px", "10px");
    pen.fillText((oneLine(this.page.calls[span[6]]?.[1]).split(".").pop() ?? "").slice(0, MOST_NAME), left + 4, top + bar / 2 + 0.5);
    pen.restore();
  }
  /** @param {TimeSpan} span */
  told([, , , begin, end, code, number]) {
    const [id, task, lane] = this.page.calls[number], { states, spans } = TABLES;
    const running = states[code].name === "STARTED";
    return `${oneLine(task).slice(0, 120)} ${states[code].word} · ${running ? "for" : "ran"} ${end - begin < 0.01 ? span(end - begin) : clock(end - begin, spans)} · ${moment(this.zero + begin, this.home.now)} · ${lane} · ${shortId(id)}`;
  }
  get home() { return this.page.home; }
}
