// @ts-check
// What the page knows of one batch: one store for all views of a card; it survives views that come and go.

const ACK_WITHIN_MS = 3000, ASK_NAME_AFTER_MS = 120, MOST_NAMES = 5000;

class Store {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    /** @type {Tables} */
    this.tables = model.get("tables");
    /** @type {Set<CardView>} */
    this.views = new Set();
    /** @type {View | undefined} */
    this.view = undefined;
    /** @type {Failure[]} */
    this.failures = [];
    /** @type {Line[]} */
    this.output = [];
    /** @type {Preview | null} */
    this.preview = null;
    /** @type {Spark | null} */
    this.spark = null;
    /** @type {NewResult[]} */
    this.newest = [];
    this.seq = 0;
    this.ahead = 0; // seconds that the kernel's clock is ahead of this one
    this.codes = bytes(null);
    /** @type {{command: string, at: number} | null} */
    this.asked = null; // the command that waits for the kernel's answer, and since when
    this.problem = "";
    /** @type {Map<number, string>} */
    this.names = new Map(); // of calls, as far as somebody has looked at them
    /** @type {number | undefined} */
    this.nameTimer = undefined;
    this.width = 0; // of the mosaic, as the kernel was told
    /** @type {number | undefined} */
    this.widthTimer = undefined;
    this.line = new KernelLine(model, this);
    this.below = new Below(this.line.keeper, (places) => this.send({ t: "below", places }));
    this.pulse = new Pulse(model, () => this.show());
    this.notice = new EndNotice(this);
    this.line.follow("seq", () => this.load());
    this.load();
    this.line.greet({ keeps: this.line.keeper.keeps });
  }
  close() {
    TabTitle.shared.show(this, null);
    this.line.close();
    this.pulse.close();
  }
  load() {
    this.pulse.hear();
    const head = this.model.get("head") || {};
    this.seq = this.model.get("seq");
    this.take(head);
    this.codes = unpackStates(bytes(this.model.get("mosaic")), bytes(null), this.tables.states.length) ?? bytes(null);
    this.show();
  }
  /** @param {Head} head */
  take(head) {
    // Of the view only what has changed.
    if (head.view) this.view = { .../** @type {View} */ (this.view), ...head.view };
    this.failures = head.failures ?? this.failures;
    this.output = head.output ?? this.output;
    this.preview = head.preview ?? this.preview;
    // Of results that were told before, only which they are.
    const had = new Map(this.newest.map((result) => [result.index, result]));
    this.newest = head.newest?.flatMap((result) => ("what" in result ? result : had.get(result.index) ?? [])) ?? this.newest;
    if (head.spark !== undefined) this.spark = head.spark;
    if (head.now) this.ahead = head.now - Date.now() / 1000;
    if (this.view) this.notice.hear(this.view);
  }
  /** @param {Message} message @param {DataView[]} buffers */
  receive(message, buffers) {
    if (message.k === "below") { this.below.take(message); return; }
    if (message.k === "label") { this.name(message); return; }
    if (message.k === "call") { for (const view of this.views) view.drawer.take(message); return; }
    if (message.k === "timeline") { for (const view of this.views) view.timeline.take(message); return; }
    if (message.k === "output") { for (const view of this.views) view.output.save(message.name, bytes(buffers[0])); return; }
    if (message.k === "retried") { this.asked = null; this.show(); return; }
    if (message.k === "problem") { this.problem = message.text; this.asked = null; this.show(); return; }
    if (message.k !== "tick" || message.seq <= this.seq) return;
    const whole = !!message.whole;
    if (!whole && (message.seq !== this.seq + 1 || !this.view)) { this.send({ t: "resync" }); return; }
    const codes = unpackStates(bytes(buffers?.[0]), whole ? bytes(null) : this.codes, this.tables.states.length);
    if (!codes && !whole) { this.send({ t: "resync" }); return; }
    this.seq = message.seq;
    this.take(message);
    this.codes = codes ?? this.codes;
    if (this.view?.stopping || this.view?.done) this.asked = null;
    this.show();
  }
  /** What a call is called, as far as the page knows. @param {number} index */
  nameOf(index) { return this.names.get(index) ?? `#${thousands(index)}`; }
  /** Somebody looks at a call: views are told its name. @param {number} index */
  askName(index) {
    clearTimeout(this.nameTimer);
    if (!this.names.has(index)) this.nameTimer = setTimeout(() => this.send({ t: "label", index }), ASK_NAME_AFTER_MS);
  }
  /** @param {Label} message */
  name({ index, text }) {
    if (this.names.size >= MOST_NAMES) this.names.clear();
    this.names.set(index, text);
    for (const view of this.views) view.named(index);
  }
  /** @param {object} content */
  send(content) {
    this.line.send(content);
  }
  gone() { this.pulse.end(); }
  /**
   * The saved mosaic is made as wide as it is here.
   * @param {number} width
   */
  tellWidth(width) {
    if (width === this.width) return;
    clearTimeout(this.widthTimer);
    const changed = this.width > 0;
    this.widthTimer = setTimeout(() => this.send({ t: "width", width, changed }), changed ? 200 : 0);
    this.width = width;
  }
  /** @param {string} command @param {number} [index] of the one call that is meant */
  ask(command, index) {
    this.asked = { command, at: Date.now() };
    this.problem = "";
    this.send({ t: command, index });
    this.show();
    setTimeout(() => this.show(), ACK_WITHIN_MS + 50);
  }
  // While nothing is heard of the kernel, nobody knows whether the calls go on: the clocks stand.
  now() {
    const heard = this.view && this.pulse.lost(this.view) ? this.pulse.heardAt : Date.now();
    return heard / 1000 + this.ahead;
  }
  titleTab() { TabTitle.shared.show(this, this.view && !this.pulse.lost(this.view) ? this.view : null); }
  show() {
    this.titleTab();
    for (const view of this.views) view.show();
  }
}
