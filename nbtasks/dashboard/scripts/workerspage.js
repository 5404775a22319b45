// @ts-check
// Workers: a block for each, its children as lanes with what they run now and for how long.

const FEW_WORKERS = 6, FULL_LANE_S = 10;
/** Seconds after which it is said that a worker is silent: it shows itself more often, unless its lease is long. */
const SILENT_AFTER_S = 6;

class WorkersPage {
  /** @param {HTMLElement} parent @param {Home} home */
  constructor(parent, home) {
    this.home = home;
    const head = make("div", "nbt-filters", parent);
    this.sum = make("span", "nbt-sum", head);
    this.filter = makeField("", head, "Filter workers", "Show only workers with this text", { type: "search" });
    this.filter.addEventListener("input", () => { if (this.data) this.show(this.data); });
    this.list = make("div", "nbt-workers", parent);
    this.empty = make("p", "nbt-empty", parent);
    this.gone = part(parent, "No longer there");
    /** @type {Grid<GoneData>} */
    this.left = new Grid(this.gone.box, "No longer there", [
      { name: "worker", kind: "wide", put: (cell, { name }) => putText(cell, name) },
      { name: "since", put: (cell, { at }) => setText(cell, moment(at, home.now)) },
      { name: "why", kind: "wide", put: (cell, { reason }) => putText(cell, reason) },
      { name: "calls", kind: "do", least: 64, put: (cell, { name }) => putWorkersCalls(cell, "Its calls", { worker: name }, home) },
    ], ({ name }) => name, "");
    /** @type {Map<string, WorkerBlock>} */
    this.blocks = new Map();
    /** @type {WorkersData | null} */
    this.data = null;
  }
  /** @param {WorkersData} data */
  show(data) {
    this.data = data;
    const wanted = this.filter.value.trim().toLowerCase();
    const shown = data.workers.filter((one) => !wanted
      || [one.name, one.host, ...one.queues, ...one.children.flatMap(({ calls }) => calls.map(({ task }) => task))].join(" ").toLowerCase().includes(wanted));
    const nodes = shown.map((worker) => {
      let block = this.blocks.get(worker.id);
      if (!block) this.blocks.set(worker.id, block = new WorkerBlock(worker, this.home, data.workers.length <= FEW_WORKERS));
      block.show(worker, data.now);
      return block.box;
    });
    for (const id of this.blocks.keys()) if (!data.workers.some((one) => one.id === id)) this.blocks.delete(id);
    arrange(this.list, nodes);
    const gone = data.gone.filter(({ name }) => !wanted || name.toLowerCase().includes(wanted));
    this.gone.box.hidden = !gone.length;
    this.left.show(gone);
    this.filter.hidden = data.workers.length < 2;
    const busy = data.workers.reduce((sum, one) => sum + one.busy, 0), slots = data.workers.reduce((sum, one) => sum + one.slots, 0);
    setText(this.sum, data.workers.length ? `${counted(data.workers.length + (data.more ?? 0), "worker")}, ${thousands(busy)} of ${counted(slots, "slot")} busy` : "");
    this.empty.hidden = nodes.length > 0;
    setText(this.empty, data.workers.length ? "No worker has this text."
      : "No workers. `%workers start 4` in a notebook starts four processes here; `nbtasks worker` in a terminal does it on any machine.");
  }
  tick() { for (const block of this.blocks.values()) block.tick(); }
}

class WorkerBlock {
  /** @param {WorkerData} worker @param {Home} home @param {boolean} open */
  constructor(worker, home, open) {
    this.home = home;
    this.worker = worker;
    this.now = 0;
    const box = this.box = make("section", "nbt-block nbt-worker-block");
    box.dataset.worker = worker.id;
    const head = make("div", "nbt-block-head", box);
    this.mark = mark("PENDING", head);
    this.name = make("h2", "", head);
    this.state = make("span", "nbt-badge", head);
    this.busy = make("span", "nbt-dim", head);
    this.minis = make("span", "nbt-minis", head);
    this.minis.setAttribute("aria-hidden", "true");
    this.manage = makeButton("nbt-button", head, "Manage", () => this.showTools(this.tools.hidden));
    this.manage.hidden = home.readonly;
    this.fold = makeButton("nbt-button nbt-fold", head, "", () => this.toggle());
    this.facts = make("div", "nbt-facts", box);
    this.links = make("div", "nbt-tools nbt-links", box);
    this.calls = make("span", "", this.links);
    this.failed = make("span", "", this.links);
    this.problems = make("ul", "nbt-problems", box);
    this.problems.setAttribute("aria-label", "What does not fit");
    this.tools = make("div", "nbt-tools", box);
    this.said = new Said(box);
    this.lanes = make("ul", "nbt-child-lanes", box);
    /** @type {Map<number, ChildLane>} */
    this.children = new Map();
    this.open = open;
    this.makeTools();
    this.showTools(false);
    this.toggle(open);
  }
  makeTools() {
    const { home, tools, said } = this, body = () => ({ worker: this.worker.id });
    actButton(home, tools, "− child", { action: "shrink", body: () => ({ ...body(), n: 1 }), said, label: "one child less" });
    actButton(home, tools, "+ child", { action: "grow", body: () => ({ ...body(), n: 1 }), said, label: "one child more" });
    const hidden = home.readonly;
    const queue = makeField("nbt-queue", tools, "queue", "Name of a queue", { hidden });
    actButton(home, tools, "Listen", { action: "add_queue", body: () => ({ ...body(), queue: queue.value.trim() }), said, label: "listen to this queue" });
    actButton(home, tools, "Leave", { action: "cancel_queue", body: () => ({ ...body(), queue: queue.value.trim() }), said, label: "take nothing from this queue any more" });
    const count = { type: "number", min: "1", hidden };
    const least = makeField("nbt-count-of", tools, "least", "Fewest children", count);
    const most = makeField("nbt-count-of", tools, "most", "Most children", count);
    actButton(home, tools, "Autoscale", {
      action: "autoscale", body: () => ({ ...body(), max: Number(most.value), min: Number(least.value || 1) }), said, label: "have as many children as there is work, within these bounds",
    });
    actButton(home, tools, "New children", { action: "restart_pool", body, said, sure: "Start all children anew?" });
    actButton(home, tools, "Drain", { action: "drain", body, said, label: "end when running calls have ended", sure: "End after the running calls?" });
    actButton(home, tools, "Stop", { action: "stop", body, said, label: "end at once", sure: "Stop it at once?" });
  }
  /** @param {boolean} shown */
  showTools(shown) {
    this.tools.hidden = !shown;
    this.manage.setAttribute("aria-expanded", String(shown));
    if (shown) this.toggle(true);
  }
  toggle(open = !this.open) {
    this.open = open;
    this.box.dataset.open = String(open);
    setText(this.fold, open ? "Less" : "More");
    this.fold.setAttribute("aria-expanded", String(open));
    if (this.now) this.show(this.worker, this.now);
  }
  /** @param {WorkerData} worker @param {number} now */
  show(worker, now) {
    this.worker = worker;
    this.now = now;
    const silent = !worker.alive, state = silent ? "REVOKED" : !worker.matches ? "FAILURE" : worker.busy ? "STARTED" : "PENDING";
    setMark(this.mark, state);
    putText(this.name, worker.name);
    this.manage.setAttribute("aria-label", `Manage ${worker.name}`);
    this.fold.setAttribute("aria-label", `${this.open ? "Less" : "More"} of ${worker.name}`);
    const quiet = now - worker.seen;
    const word = !silent && quiet > SILENT_AFTER_S ? `silent for ${roughly(quiet)}` : silent ? `silent since ${moment(worker.seen, now)}` : worker.draining ? "drains" : !worker.matches ? "does not fit" : "";
    setText(this.state, word);
    this.state.hidden = !word;
    setText(this.busy, `${thousands(worker.busy)} of ${thousands(worker.slots)} busy`);
    this.showMinis(worker.children);
    const problems = worker.mismatches;
    this.problems.hidden = !problems.length;
    while (this.problems.children.length > problems.length) this.problems.lastElementChild?.remove();
    problems.forEach((text, place) => putText(/** @type {HTMLElement} */ (this.problems.children[place] ?? make("li", "", this.problems)), text));
    // There may be hundreds of workers: of those that are folded no more is made than is seen.
    if (!this.open) return;
    this.showFacts(worker);
    const lanes = worker.children.map((child) => {
      let lane = this.children.get(child.number);
      if (!lane) this.children.set(child.number, lane = new ChildLane(this.home));
      lane.show(child, now);
      return lane.box;
    });
    for (const number of this.children.keys()) if (!worker.children.some((child) => child.number === number)) this.children.delete(number);
    arrange(this.lanes, lanes);
  }
  /** A small square for each child: all that is seen of a worker that is folded. @param {ChildData[]} children */
  showMinis(children) {
    while (this.minis.children.length > children.length) this.minis.lastElementChild?.remove();
    children.forEach(({ state }, place) => {
      const image = /** @type {HTMLImageElement} */ (this.minis.children[place] ?? mark("PENDING", this.minis));
      setMark(image, state === "busy" ? "STARTED" : "PENDING");
    });
  }
  /** @param {WorkerData} worker */
  showFacts(worker) {
    const versions = Object.entries(worker.versions).filter(([, version]) => version).map(([name, version]) => `${name === "python" ? "Python" : name} ${version}`);
    /** @type {[string, string][]} */
    const facts = [
      ["host", `${worker.host}, pid ${worker.pid}`], ["pool", `${worker.pool} ${worker.concurrency}`],
      ["queues", worker.queues.join(", ") || "none"], ["memory", size(worker.memory)],
      ["CPU", worker.cpu === null ? "" : `${Math.round(100 * worker.cpu)} %`], ["calls run", thousands(worker.processed)],
      ["up", worker.started === null ? "" : roughly(this.now - worker.started)], ["versions", versions.join(", ")],
    ];
    putFacts(this.facts, facts);
    putWorkersCalls(this.calls, "Its calls", { worker: worker.name }, this.home);
    putWorkersCalls(this.failed, counted(worker.failed, "failure"), { worker: worker.name, state: "FAILURE" }, this.home);
    this.failed.hidden = !worker.failed;
  }
  tick() { if (this.open) for (const lane of this.children.values()) lane.tick(); }
}

/** A button that leads to calls of a worker. @param {HTMLElement} cell @param {string} text @param {Filters} filters @param {Home} home */
function putWorkersCalls(cell, text, filters, home) {
  const link = cell.querySelector("button") ?? makeButton("nbt-link nbt-leads", cell, "", () => home.go("tasks", filters));
  setText(link, text);
  link.setAttribute("aria-label", `${text}, of ${oneLine(filters.worker)}`);
}

class ChildLane {
  /** @param {Home} home */
  constructor(home) {
    this.home = home;
    const box = this.box = make("li", "nbt-child");
    this.number = make("span", "nbt-child-number", box);
    this.mark = mark("PENDING", box);
    this.calls = make("span", "nbt-child-calls", box);
    this.lane = make("span", "nbt-mini", box);
    this.bar = make("i", "", this.lane);
    this.time = make("span", "nbt-child-for", box);
    this.memory = make("span", "nbt-child-memory", box);
    /** @type {number | null} */
    this.since = null;
  }
  /** @param {ChildData} child @param {number} now */
  show(child, now) {
    const busy = child.calls.length > 0;
    setText(this.number, `#${child.number}`);
    this.number.title = child.pid ? `pid ${child.pid}` : "";
    setMark(this.mark, busy ? "STARTED" : "PENDING");
    while (this.calls.children.length > Math.max(1, child.calls.length)) this.calls.lastElementChild?.remove();
    if (busy) {
      if (this.calls.firstElementChild?.className === "nbt-idle") this.calls.replaceChildren();
      child.calls.forEach(({ call, task }, place) => {
        const cell = this.calls.children[place] ?? make("span", "", this.calls);
        putCall(/** @type {HTMLElement} */ (cell), task, call, this.home);
      });
    } else {
      if (this.calls.firstElementChild?.className !== "nbt-idle") this.calls.replaceChildren(make("span", "nbt-idle"));
      setText(/** @type {Element} */ (this.calls.firstElementChild), child.state);
    }
    this.calls.dataset.more = child.more ? `and ${child.more} more` : "";
    this.since = busy ? now - Math.max(...child.calls.map(({ for_s: lasted }) => lasted)) : null;
    this.lane.style.visibility = busy ? "" : "hidden";
    setText(this.memory, size(child.memory));
    this.tick();
  }
  /** Clocks go on between two looks. */
  tick() {
    const lasted = this.since === null ? null : Math.max(0, this.home.clock() - this.since);
    setText(this.time, lasted === null ? "" : span(lasted < 10 ? Math.round(lasted * 10) / 10 : Math.round(lasted)));
    // Every lane on one scale: it fills up towards ten seconds, and ever more slowly.
    if (lasted !== null) this.bar.style.width = `${(100 * lasted / (lasted + FULL_LANE_S)).toFixed(1)}%`;
  }
}
