// @ts-check
// Overview: what happens now, how fast, where it waits, and what fails.

const LEAST_POINTS = 60;

class OverviewPage {
  /** @param {HTMLElement} parent @param {Home} home */
  constructor(parent, home) {
    this.home = home;
    const figures = make("div", "nbt-figures", parent);
    figures.setAttribute("role", "list");
    this.running = new Figure(figures, "running", "STARTED");
    this.waiting = new Figure(figures, "waiting", "PENDING");
    this.succeeded = new Figure(figures, "done", "SUCCESS");
    this.failed = new Figure(figures, "failed", "FAILURE");
    this.retried = new Figure(figures, "retries", "RETRY");
    this.slots = new Figure(figures, "slots busy");
    this.chart = new Chart(parent, "Calls a second", [
      { name: "done", state: "SUCCESS", colour: colourOf("SUCCESS"), value: (/** @type {Rate} */ { succeeded }) => succeeded },
      { name: "failed", state: "FAILURE", colour: colourOf("FAILURE"), down: true, value: (/** @type {Rate} */ { failed }) => failed },
    ], { height: 120, say: rate });
    const pair = make("div", "nbt-pair", parent);
    const queues = part(pair, "Queues");
    /** @type {Grid<QueueData>} */
    this.queues = new Grid(queues.box, "Queues", [
      { name: "queue", kind: "wide", put: (cell, { name, ours, python }) => putText(cell, ours ? name : `${name} (Python ${python})`) },
      { name: "waiting", kind: "number", put: (cell, { waiting }) => setText(cell, thousands(waiting)) },
      { name: "running", kind: "number", put: (cell, { running }) => setText(cell, thousands(running)) },
      { name: "later", kind: "number", put: (cell, { delayed }) => setText(cell, thousands(delayed)) },
      { name: "oldest", kind: "number", put: (cell, { oldest_s: oldest }) => setText(cell, oldest === null ? "–" : span(oldest)) },
      { name: "workers", kind: "number", put: (cell, { workers }) => setText(cell, thousands(workers)) },
      { name: "actions", kind: "do", least: 64, put: (cell, one) => this.putEmpty(cell, one) },
    ], ({ name, python, key }) => `${name} ${python} ${key}`, "Nothing waits, and no worker listens: nbtasks worker starts one.");
    if (home.readonly) this.queues.table.classList.add("nbt-no-tools");
    this.said = new Said(queues.box);
    this.whys = make("div", "nbt-whys", queues.box);
    const failures = part(pair, "Failures by kind");
    /** @type {Grid<FailureData>} */
    this.failures = new Grid(failures.box, "Failures by kind", [
      { name: "times", kind: "number", put: (cell, { count }) => setText(cell, thousands(count)) },
      { name: "error", kind: "wide", put: (cell, one) => putCall(cell, one.signature, one.example_id, home) },
      { name: "task", put: (cell, { task }) => putText(cell, task) },
      { name: "last", put: (cell, { last }) => setText(cell, ago(last, home.now)) },
    ], ({ signature, task }) => `${task} ${signature}`, "No call has failed.");
    const tasks = part(parent, "Tasks");
    /** @type {Grid<TaskCounts>} */
    this.tasks = new Grid(tasks.box, "Tasks", [
      { name: "task", kind: "wide", by: ({ task }) => task, put: (cell, { task }) => this.putTask(cell, task) },
      { name: "sent", kind: "number", by: ({ sent }) => sent, put: (cell, { sent }) => setText(cell, thousands(sent)) },
      { name: "running", kind: "number", by: ({ running }) => running, put: (cell, { running }) => setText(cell, thousands(running)) },
      { name: "done", kind: "number", by: ({ succeeded }) => succeeded, put: (cell, { succeeded }) => setText(cell, thousands(succeeded)) },
      { name: "failed", kind: "number", by: ({ failed }) => failed, put: (cell, one) => { setText(cell, thousands(one.failed)); cell.classList.toggle("nbt-bad", one.failed > 0); } },
      { name: "retries", kind: "number", by: ({ retried }) => retried, put: (cell, { retried }) => setText(cell, thousands(retried)) },
      { name: "mean", kind: "number", by: ({ mean_s: mean }) => mean ?? -1, put: (cell, { mean_s: mean }) => setText(cell, span(mean) || "–") },
      { name: "longest", kind: "number", by: ({ max_s: most }) => most ?? -1, put: (cell, { max_s: most }) => setText(cell, span(most) || "–") },
    ], ({ task }) => task, "No call was submitted since events are kept. %%task or a call of delay() begins it.");
    this.foot = make("p", "nbt-foot-note", parent);
  }
  /** @param {HTMLElement} cell @param {string} task */
  putTask(cell, task) {
    let link = /** @type {HTMLButtonElement | null} */ (cell.querySelector("button"));
    if (!link) {
      link = makeButton("nbt-link", cell, "", () => this.home.go("tasks", { task: link?.dataset.task ?? "" }));
      make("bdi", "", link);
    }
    const text = oneLine(task).slice(0, MOST_LETTERS);
    link.dataset.task = task;
    setText(/** @type {Element} */ (link.firstElementChild), text || "(no name)");
    if (link.title !== text) link.title = text;
  }
  /** Only what this App could submit can be revoked here. @param {HTMLElement} cell @param {QueueData} one */
  putEmpty(cell, { name, ours, waiting, delayed }) {
    let button = cell.querySelector("button");
    if (!button) {
      button = actButton(this.home, cell, "Empty", {
        action: "purge", body: () => ({ queue: name }), said: this.said, label: `revoke all calls that wait in ${oneLine(name)}`, sure: "Revoke what waits?",
      });
    }
    button.hidden = this.home.readonly || !ours || !(waiting || delayed);
  }
  /** @param {OverviewData} data */
  show(data) {
    const { totals, workers, queues, rates } = data, recent = rates.slice(-11, -1);
    const each = (/** @type {"succeeded" | "failed"} */ what) => recent.reduce((sum, one) => sum + one[what], 0) / (recent.length || 1);
    this.running.show(thousands(totals.running ?? 0));
    const delayed = queues.reduce((sum, one) => sum + one.delayed, 0);
    this.waiting.show(thousands(queues.reduce((sum, one) => sum + one.waiting, 0)), delayed ? `${thousands(delayed)} for later` : "");
    this.succeeded.show(thousands(totals.succeeded ?? 0), each("succeeded") > 0 ? `${rate(each("succeeded"))} a second` : "");
    const ended = (totals.succeeded ?? 0) + (totals.failed ?? 0);
    this.failed.show(thousands(totals.failed ?? 0), totals.failed ? `${Number((100 * totals.failed / ended).toPrecision(2))} %` : "");
    this.retried.show(thousands(totals.retried ?? 0));
    this.slots.show(`${thousands(workers.busy)} of ${thousands(workers.children)}`,
      counted(workers.n, "worker") + (workers.mismatched ? `, ${thousands(workers.mismatched)} do not fit` : ""));
    this.chart.box.hidden = !rates.length;
    // What has just begun is not drawn out to the whole width.
    const first = rates[0]?.t ?? 0, before = Math.max(0, LEAST_POINTS - rates.length);
    this.chart.show([...Array.from({ length: before }, (_, at) => ({ t: first - before + at, succeeded: 0, failed: 0 })), ...rates], data.now);
    this.queues.show(queues);
    this.showWhys(queues);
    this.failures.show(data.failures);
    this.tasks.show(data.tasks);
    const kept = data.since === null ? "" : `Counted since ${moment(data.since, data.now)}.`;
    setText(this.foot, [kept, data.cut ? "What happened before that is not kept." : "", data.more ? `${counted(data.more, "task")} more.` : ""].join(" ").trim());
  }
  /** @param {QueueData[]} queues */
  showWhys(queues) {
    const whys = queues.filter(({ why, waiting }) => why && waiting).map(({ why }) => oneLine(why));
    while (this.whys.children.length > whys.length) this.whys.lastElementChild?.remove();
    whys.forEach((why, place) => setText(this.whys.children[place] ?? make("div", "nbt-why", this.whys), why));
  }
}
