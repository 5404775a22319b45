// @ts-check
// What the page knows of one batch: one store for all views of a card; it survives views that come and go.

const ACK_WITHIN_MS = 3000;

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
    this.seq = 0;
    this.ahead = 0; // seconds that the kernel's clock is ahead of this one
    this.codes = bytes(null);
    /** @type {{command: string, at: number} | null} */
    this.asked = null; // the command that waits for the kernel's answer, and since when
    this.retried = "";
    this.problem = "";
    this.onMessage = (/** @type {Message} */ message, /** @type {DataView[]} */ buffers) => this.receive(message, buffers);
    this.onState = () => this.load();
    model.on("msg:custom", this.onMessage);
    model.on("change:seq", this.onState);
    this.load();
  }
  close() {
    this.model.off("msg:custom", this.onMessage);
    this.model.off("change:seq", this.onState);
  }
  load() {
    const head = this.model.get("head") || {};
    this.seq = this.model.get("seq");
    this.take(head);
    this.codes = bytes(this.model.get("mosaic"));
    this.show();
  }
  /** @param {Head} head */
  take(head) {
    this.view = head.view ?? this.view;
    this.failures = head.failures ?? this.failures;
    this.output = head.output ?? this.output;
    if (head.now) this.ahead = head.now - Date.now() / 1000;
  }
  /** @param {Message} message @param {DataView[]} buffers */
  receive(message, buffers) {
    if (message.k === "label") { for (const view of this.views) view.label(message); return; }
    if (message.k === "retried") { this.retried = message.text; this.asked = null; this.show(); return; }
    if (message.k === "problem") { this.problem = message.text; this.asked = null; this.show(); return; }
    if (message.k !== "tick" || message.seq <= this.seq) return;
    const whole = !!message.whole;
    if (!whole && message.seq !== this.seq + 1) { this.send({ t: "resync" }); return; }
    this.seq = message.seq;
    this.take(message);
    if (buffers && buffers[0]) {
      const data = bytes(buffers[0]);
      if (whole) this.codes = data; else this.apply(data, message.ranges);
    }
    if (this.view?.stopping || this.view?.done) this.asked = null;
    this.show();
  }
  /** @param {Uint8Array} data @param {number} ranges */
  apply(data, ranges) {
    const numbers = new Uint32Array(data.buffer, 0, 2 * ranges);
    let at = 8 * ranges;
    for (let r = 0; r < ranges; r++) {
      const length = numbers[ranges + r];
      this.codes.set(data.subarray(at, at + length), numbers[r]);
      at += length;
    }
  }
  /** @param {object} content */
  send(content) { this.model.send(content); }
  /** @param {string} command */
  ask(command) {
    this.asked = { command, at: Date.now() };
    this.problem = "";
    this.send({ t: command });
    this.show();
    setTimeout(() => this.show(), ACK_WITHIN_MS + 50);
  }
  now() { return Date.now() / 1000 + this.ahead; }
  show() { for (const view of this.views) view.show(); }
}
