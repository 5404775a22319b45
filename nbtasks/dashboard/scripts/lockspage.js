// @ts-check
// Locks and limits: who holds what, who waits for it, and how fast tasks may be.

const KINDS = /** @type {Record<string, string>} */ ({ "at once": "calls at once" });

class LocksPage {
  /** @param {HTMLElement} parent @param {Home} home */
  constructor(parent, home) {
    this.home = home;
    const locks = part(parent, "Locks and semaphores");
    /** @type {Grid<LockData>} */
    this.locks = new Grid(locks.box, "Locks and semaphores", [
      { name: "name", kind: "wide", put: (cell, { name }) => putText(cell, name) },
      { name: "kind", put: (cell, { kind }) => setText(cell, KINDS[kind] ?? kind) },
      { name: "held", put: (cell, one) => this.putHeld(cell, one) },
      { name: "by", kind: "wide", put: (cell, one) => this.putHolders(cell, one) },
      { name: "wait for it", kind: "number", put: (cell, { waiting }) => setText(cell, thousands(waiting)) },
    ], ({ id, kind }) => `${kind} ${id}`, "Nothing is locked. @locked(\"name\"), app.lock() and max_concurrency= are shown here while somebody holds or wants them.");
    const limits = part(parent, "Limits of tasks");
    /** @type {Grid<LimitData>} */
    this.limits = new Grid(limits.box, "Limits of tasks", [
      { name: "task", kind: "wide", put: (cell, { task }) => putText(cell, task) },
      { name: "most", kind: "number", put: (cell, one) => setText(cell, one.rate || "–") },
      { name: "stopped after", kind: "number", put: (cell, one) => setText(cell, span(one.hard_s) || "–") },
      { name: "told after", kind: "number", put: (cell, one) => setText(cell, span(one.soft_s) || "–") },
    ], ({ task }) => task, "No limits were set while workers run.");
    const tools = make("div", "nbt-tools", limits.box);
    this.said = new Said(limits.box);
    const task = makeField("", tools, "task", "Name of a task");
    const rateOf = makeField("nbt-queue", tools, "10/m", "Calls in a time, such as 10/m; empty for no limit");
    actButton(home, tools, "Set", {
      action: "rate_limit", body: () => ({ task: task.value.trim(), rate: rateOf.value.trim() }), said: this.said, label: "set this limit at all workers",
    });
    const ofSeconds = { type: "number", min: "0", step: "any" };
    const soft = makeField("nbt-seconds", tools, "told after, s", "Seconds after which a call is told to end; empty for no limit", ofSeconds);
    const hard = makeField("nbt-seconds", tools, "stopped after, s", "Seconds after which a call is stopped; empty for no limit", ofSeconds);
    const seconds = (/** @type {HTMLInputElement} */ { value }) => (value === "" ? null : Number(value));
    actButton(home, tools, "Set times", {
      action: "time_limit", body: () => ({ task: task.value.trim(), soft_s: seconds(soft), hard_s: seconds(hard) }), said: this.said, label: "set these times at all workers",
    });
    tools.hidden = home.readonly;
  }
  /** @param {LocksData} data */
  show(data) {
    this.locks.show(data.locks);
    this.limits.show(data.limits);
  }
  /** @param {HTMLElement} cell @param {LockData} one */
  putHeld(cell, { count, capacity }) {
    const bar = /** @type {HTMLElement} */ (cell.querySelector(".nbt-mini")) ?? make("span", "nbt-mini", cell);
    const fill = /** @type {HTMLElement} */ (bar.firstElementChild) ?? make("i", "", bar), words = cell.querySelector("b") ?? make("b", "", cell);
    fill.style.width = `${capacity ? Math.min(100, 100 * count / capacity) : 0}%`;
    setText(words, `${thousands(count)} of ${thousands(capacity)}`);
  }
  /** @param {HTMLElement} cell @param {LockData} one */
  putHolders(cell, { holders }) {
    while (cell.children.length > holders.length) cell.lastElementChild?.remove();
    holders.forEach((holder, place) => {
      const line = /** @type {HTMLElement} */ (cell.children[place] ?? make("div", "nbt-holder", cell));
      const who = /** @type {HTMLElement} */ (line.children[0] ?? make("span", "", line)), more = line.children[1] ?? make("bdi", "nbt-dim", line);
      putCall(who, holder.title, holder.call, this.home);
      setText(more, [holder.since_s === null ? "" : `for ${roughly(holder.since_s)}`, holder.worker ?? ""].filter(Boolean).join(", "));
    });
  }
}
