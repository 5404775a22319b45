// @ts-check
// Schedules: what runs by itself, when it is due, how its last runs have ended.

const MOST_RUNS = 12;

class SchedulesPage {
  /** @param {HTMLElement} parent @param {Home} home */
  constructor(parent, home) {
    this.home = home;
    this.said = new Said(parent);
    /** @type {Grid<ScheduleData>} */
    this.grid = new Grid(parent, "Periodic tasks", [
      { name: "name", kind: "wide", put: (cell, { name }) => putText(cell, name) },
      { name: "due", kind: "mono", put: (cell, one) => putText(cell, one.schedule) },
      { name: "next run", put: (cell, one) => this.putNext(cell, one) },
      { name: "last runs", put: (cell, one) => this.putRuns(cell, one) },
      { name: "runs", kind: "number", put: (cell, { count }) => setText(cell, thousands(count)) },
      { name: "left out", kind: "number", put: (cell, { skipped }) => setText(cell, thousands(skipped)) },
      { name: "missed", kind: "number", put: (cell, { missed }) => setText(cell, thousands(missed)) },
      { name: "queue", put: (cell, { queue }) => putText(cell, queue) },
      { name: "ends with", put: (cell, one) => putText(cell, this.end(one)) },
      { name: "actions", kind: "do", put: (cell, one) => this.putTools(cell, one) },
    ], ({ name }) => name, "No periodic tasks. `%%task --every 15m` makes one of a cell, app.add_periodic_task() of a call.");
    if (home.readonly) this.grid.table.classList.add("nbt-no-tools");
  }
  /** @param {SchedulesData} data */
  show(data) { this.grid.show(data.schedules); }
  /** @param {ScheduleData} one */
  end({ ends_with: end, owner }) { return end ? `${end}` : owner ? `project ${owner.split(":")[0]}` : "nothing: kept"; }
  /** @param {HTMLElement} cell @param {ScheduleData} one */
  putNext(cell, { next, paused }) {
    cell.dataset.at = paused || next === null ? "" : String(next);
    if (paused) setText(cell, "paused"); else if (next === null) setText(cell, "never"); else this.count(cell);
  }
  /** @param {HTMLElement} cell */
  count(cell) {
    const at = Number(cell.dataset.at), left = at - this.home.clock();
    setText(cell, left > 0 ? `in ${roughly(left)} · ${moment(at, this.home.now)}` : "now");
  }
  tick() { for (const cell of /** @type {NodeListOf<HTMLElement>} */ (this.grid.body.querySelectorAll("td[data-at]"))) if (cell.dataset.at) this.count(cell); }
  /** @param {HTMLElement} cell @param {ScheduleData} one */
  putRuns(cell, { runs }) {
    // The newest at the end, as one reads.
    const shown = runs.slice(0, MOST_RUNS).reverse(), key = shown.map(({ id, state }) => `${id} ${state}`).join();
    if (cell.dataset.runs === key) return;
    cell.dataset.runs = key;
    /** @type {Map<string, HTMLButtonElement>} */
    const before = new Map([...cell.querySelectorAll("button")].map((button) => [button.dataset.call ?? "", button]));
    if (!shown.length) { cell.textContent = "none yet"; return; }
    const nodes = shown.map(({ due, id, state }) => {
      const known = before.get(id), button = known ?? makeButton("nbt-run-mark", undefined, "", () => this.home.open(id, button));
      const label = `run of ${moment(due, this.home.now)}: ${state ? wordOf(state) : "not known any more"}`;
      if (!known) mark(state || "PENDING", button); else setMark(/** @type {HTMLImageElement} */ (button.firstElementChild), state || "PENDING");
      button.dataset.call = id;
      button.setAttribute("aria-label", label);
      button.title = label;
      return button;
    });
    if (!cell.querySelector("button")) cell.replaceChildren();
    arrange(cell, nodes);
  }
  /** @param {HTMLElement} cell @param {ScheduleData} one */
  putTools(cell, { name, paused }) {
    if (!cell.childElementCount) {
      const body = () => ({ name }), { home, said } = this;
      actButton(home, cell, "Run now", { action: "run", body, said, label: `run ${oneLine(name)} now` });
      actButton(home, cell, "Pause", { action: "pause", body, said, label: `pause ${oneLine(name)}` });
      actButton(home, cell, "Resume", { action: "resume", body, said, label: `resume ${oneLine(name)}` });
      actButton(home, cell, "Remove", { action: "remove", body, said, label: `remove ${oneLine(name)}`, sure: "Remove it?" });
    }
    if (this.home.readonly) return;
    const [, pause, resume] = /** @type {HTMLButtonElement[]} */ ([...cell.children]);
    const held = document.activeElement === pause || document.activeElement === resume;
    pause.hidden = paused;
    resume.hidden = !paused;
    if (held) (paused ? resume : pause).focus({ preventScroll: true });
  }
}
