// @ts-check
// Broker: the server that keeps queues and results: its memory, its load, whether what it has is safe.

class BrokerPage {
  /** @param {HTMLElement} parent @param {Home} home */
  constructor(parent, home) {
    this.home = home;
    const figures = make("div", "nbt-figures", parent);
    figures.setAttribute("role", "list");
    this.memory = new Figure(figures, "memory");
    this.commands = new Figure(figures, "commands a second");
    this.clients = new Figure(figures, "clients");
    this.keys = new Figure(figures, "keys");
    this.latency = new Figure(figures, "round trip");
    const charts = make("div", "nbt-charts", parent), ink = "var(--nbt-started)";
    this.charts = [
      new Chart(charts, "Commands a second", [{ name: "commands a second", colour: ink, value: (/** @type {BrokerMoment} */ { commands }) => commands ?? 0 }], { height: 70, say: rate, least: 10 }),
      new Chart(charts, "Memory", [{ name: "memory", colour: ink, value: (/** @type {BrokerMoment} */ { memory }) => memory ?? 0 }], { height: 70, say: size, least: 1e6 }),
      new Chart(charts, "Clients", [{ name: "clients", colour: ink, value: (/** @type {BrokerMoment} */ { clients }) => clients }], { height: 70, say: rate, least: 10 }),
    ];
    const { box } = part(parent, "Server");
    this.facts = make("div", "nbt-list", box);
  }
  /** @param {BrokerData} data */
  show(data) {
    // Not every kind of server says how much it has.
    this.memory.box.hidden = data.memory === null;
    this.memory.show(size(data.memory), data.limit ? `of ${size(data.limit)}` : `at most ${size(data.peak)} so far`);
    this.commands.show(data.commands_per_s === null ? "–" : rate(data.commands_per_s), `${thousands(data.commands)} so far`);
    this.clients.show(thousands(data.clients), data.blocked_clients ? `${thousands(data.blocked_clients)} wait for work` : "");
    this.keys.show(thousands(data.keys));
    this.latency.show(span(data.latency_s));
    for (const chart of this.charts) {
      chart.box.hidden = data.ops.length < 2 || (chart === this.charts[1] && data.memory === null);
      chart.show(data.ops, data.now);
    }
    /** @type {[string, string][]} */
    const facts = [
      ["server", `${data.kind} ${data.version}${data.embedded ? ", brought along by nbtasks" : ""}`], ["address", data.address],
      ["namespace", data.namespace], ["role", data.role], ["up for", roughly(data.uptime_s)],
      ["when memory is full", data.policy], ["network", data.input_kbps === null || data.output_kbps === null ? "" : `${rate(data.input_kbps)} kB/s in, ${rate(data.output_kbps)} kB/s out`],
      ["its clock", Math.abs(data.clock_offset_s) < 0.05 ? "as here" : `${span(Math.abs(data.clock_offset_s))} ${data.clock_offset_s > 0 ? "ahead" : "behind"}`],
      ["kept on disk", this.kept(data)],
    ];
    const told = facts.filter(([, value]) => value);
    if (this.facts.children.length !== told.length) {
      this.facts.replaceChildren(...told.map(([name]) => {
        const fact = make("div");
        make("span", "", fact).textContent = name;
        make("bdi", "", make("b", "", fact));
        return fact;
      }));
    }
    const values = this.facts.querySelectorAll("bdi");
    told.forEach(([, value], place) => setText(values[place], oneLine(value)));
  }
  /** @param {BrokerData} data */
  kept({ persistence: kept, now }) {
    if (!kept || kept.loading) return kept ? "the server is reading its data" : "";
    const log = kept.aof ? (kept.aof_ok === false ? "every change, but the last write has failed" : kept.aof_late ? "every change, but for the last moment before a crash" : "every change") : "";
    const snapshot = kept.rdb_last ? `${kept.rdb_ok === false ? "the last snapshot has failed" : "snapshot"} of ${ago(kept.rdb_last, now)}` : "";
    return [log, snapshot].filter(Boolean).join("; ") || "nothing: what it has is lost when it ends";
  }
}
