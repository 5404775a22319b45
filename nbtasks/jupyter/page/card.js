// @ts-check
// One card: the live view of one batch. The kernel sends one message a tick; nothing here writes to the model.
// All text of tasks goes through textContent: it may hold anything. What the saved form says as well (words, numbers,
// order, colours) comes from the kernel as it is to be shown: card/said.py and card/looks.py.

/**
 * What the kernel tells once: card.py, tables().
 * @typedef {{
 *   states: {name: string, colour: string}[], failure: number, loudest: number[],
 *   layouts: [side: number, gap: number, rows: number][], most_cells: number,
 *   spans: [below: number, digits: number, units: [name: string, seconds: number][]][],
 * }} Tables
 *
 * What the card says: said.py.
 * @typedef {{state: string, number: string, word: string}} Count
 * @typedef {{parts: [state: string, share: number][], slides: boolean, value: number, most: number}} Bar
 * @typedef {{
 *   what: string, label: string, far: string, share: number | null, worker: string, started_at: number,
 * }} Row
 * @typedef {{times: string, type: string, message: string, which: string, details: string}} Failure
 * @typedef {{
 *   id: string, many: boolean, state: string, shown_state: string, done: boolean, stopping: boolean, title: string,
 *   about: string, took: string, created_at: number, bar: Bar, counts: Count[], pace: string, reason: string | null,
 *   rows: Row[], can_retry: boolean, more_failures: string, sentence: string,
 * }} View
 * @typedef {[index: number, stream: string, text: string]} Line
 *
 * Messages.
 * @typedef {{view?: View, failures?: Failure[], output?: Line[], now?: number}} Head
 * @typedef {Head & {k: "tick", seq: number, whole: boolean, ranges: number}} Tick
 * @typedef {{k: "label", index: number, text: string}} Label
 * @typedef {Tick | Label | {k: "retried", text: string} | {k: "problem", text: string}} Message
 * @typedef {{
 *   get(name: string): any, on(event: string, callback: Function): void, off(event: string, callback: Function): void,
 *   send(content: object): void,
 * }} Model
 */

const ANNOUNCE_EVERY_MS = 10000;
const ACK_WITHIN_MS = 3000;

// JupyterLab looks for this attribute from the element with the focus outwards, and its shortcuts match that element
// first: `d d` on a button would delete the cell. So what can have the focus carries it itself.
const FOCUSABLE = new Set(["button", "canvas", "summary"]);

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {string} [name]
 * @param {Element} [parent]
 * @returns {HTMLElementTagNameMap[T]}
 */
const make = (tag, name, parent) => {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (FOCUSABLE.has(tag)) node.dataset.lmSuppressShortcuts = "true";
  if (parent) parent.append(node);
  return node;
};
/** @param {Node} node @param {string} text */
const setText = (node, text) => { if (node.textContent !== text) node.textContent = text; };
/** @param {number} number */
const thousands = (number) => number.toLocaleString("en-US");
/** @param {string} state */
const colourOf = (state) => `var(--nbt-${state.toLowerCase()})`;
/** @param {DataView | null | undefined} view */
const bytes = (view) => (view ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice() : new Uint8Array(0));

/**
 * How long, as the kernel's table has it: clocks go on while the kernel is too busy to say.
 * @param {number} seconds
 * @param {Tables["spans"]} spans
 */
function clock(seconds, spans) {
  const span = spans.find(([below]) => seconds < below);
  if (!span) return "";
  const [, digits, [[unit, size], smaller]] = span;
  if (!smaller) return `${seconds.toFixed(digits)} ${unit}`;
  const whole = Math.round(seconds), rest = Math.floor((whole % size) / smaller[1]);
  return `${Math.floor(whole / size)} ${unit} ${String(rest).padStart(2, "0")} ${smaller[0]}`;
}

// ---- the store: one for all views of a card; it survives views that come and go -------------------------------

class Store {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    /** @type {Tables} */
    this.tables = model.get("tables");
    /** @type {Set<Card>} */
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

// ---- the mosaic ------------------------------------------------------------------------------------------------

class Mosaic {
  /**
   * @param {Element} card
   * @param {Tables} tables
   * @param {(index: number | null, step: number) => void} onCell
   */
  constructor(card, tables, onCell) {
    this.tables = tables;
    this.codes = bytes(null);
    this.step = this.side = this.columns = this.rows = 1; // calls of a cell; pixels of a cell; cells
    this.gap = 0; // pixels between cells
    this.canvas = make("canvas", "nbt-mosaic", card);
    this.canvas.setAttribute("role", "img");
    this.canvas.tabIndex = 0;
    this.onCell = onCell;
    /** @type {number | null} */
    this.chosen = null;
    this.canvas.addEventListener("mousemove", (event) => this.choose(this.at(event)));
    this.canvas.addEventListener("mouseleave", () => this.choose(null));
    this.canvas.addEventListener("blur", () => this.choose(null));
    this.canvas.addEventListener("keydown", (event) => this.key(event));
  }
  /** @param {number} cells @param {number} width */
  layout(cells, width) {
    const fits = (/** @type {Tables["layouts"][number]} */ [side, , rows]) => cells <= Math.max(1, Math.floor(width / side)) * rows;
    const [side, gap] = this.tables.layouts.find(fits) ?? [1, 0];
    this.side = side;
    this.gap = gap;
    this.columns = Math.max(1, Math.min(Math.floor(width / side), cells));
    this.rows = Math.ceil(cells / this.columns);
  }
  /** @param {Store["codes"]} codes @param {number} width @param {string[]} colours */
  draw(codes, width, colours) {
    this.codes = codes;
    this.step = Math.max(1, Math.ceil(codes.length / this.tables.most_cells));
    const cells = Math.ceil(codes.length / this.step);
    this.layout(cells, width);
    const pen = this.canvas.getContext("2d");
    if (!pen) return;
    if (this.gap) this.drawSquares(pen, cells, colours); else this.drawPixels(pen, cells, colours);
  }
  /** @param {number} cell */
  code(cell) {
    if (this.step === 1) return this.codes[cell];
    const run = this.codes.subarray(cell * this.step, (cell + 1) * this.step);
    return this.tables.loudest.find((code) => run.includes(code)) ?? 0;
  }
  /** @param {number} width @param {number} height @param {number} cssWidth @param {number} cssHeight */
  size(width, height, cssWidth, cssHeight) {
    const canvas = this.canvas;
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    canvas.style.width = cssWidth + "px";
    canvas.style.height = cssHeight + "px";
  }
  /** @param {CanvasRenderingContext2D} pen @param {number} cells @param {string[]} colours */
  drawSquares(pen, cells, colours) {
    const scale = window.devicePixelRatio || 1, side = this.side, square = side - this.gap;
    this.size(Math.round(this.columns * side * scale), Math.round(this.rows * side * scale), this.columns * side, this.rows * side);
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, this.columns * side, this.rows * side);
    for (let code = 0; code < colours.length; code++) {
      pen.fillStyle = colours[code];
      pen.beginPath();
      for (let cell = 0; cell < cells; cell++) {
        if (this.codes[cell] !== code) continue;
        const x = (cell % this.columns) * side, y = Math.floor(cell / this.columns) * side;
        if (square > 6 && pen.roundRect) pen.roundRect(x, y, square, square, 2); else pen.rect(x, y, square, square);
      }
      pen.fill();
    }
  }
  /** @param {CanvasRenderingContext2D} pen @param {number} cells @param {string[]} colours */
  drawPixels(pen, cells, colours) {
    this.size(this.columns, this.rows, this.columns * this.side, this.rows * this.side);
    const image = pen.createImageData(this.columns, this.rows);
    const pixels = new Uint32Array(image.data.buffer);
    const words = colours.map((colour) => this.word(colour));
    const codes = new Uint8Array(cells);
    for (let cell = 0; cell < cells; cell++) pixels[cell] = words[(codes[cell] = this.code(cell))];
    // A failure of one or two pixels would be overlooked among thousands: it takes three neighbours along.
    const failure = this.tables.failure;
    if (this.side < 3) for (let cell = codes.indexOf(failure); cell >= 0; cell = codes.indexOf(failure, cell + 1)) {
      for (const near of [cell + 1, cell + this.columns, cell + this.columns + 1]) if (near < cells) pixels[near] = words[failure];
    }
    pen.putImageData(image, 0, 0);
  }
  /**
   * The bytes of a pixel.
   * @param {string} colour as #rrggbb
   */
  word(colour) {
    const value = parseInt(colour.slice(1), 16);
    return (0xff000000 | ((value & 0xff) << 16) | (value & 0xff00) | (value >> 16)) >>> 0;
  }
  /** @param {MouseEvent} event */
  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left) / this.side), row = Math.floor((event.clientY - box.top) / this.side);
    return column >= this.columns ? null : row * this.columns + column;
  }
  /** @param {KeyboardEvent} event */
  key(event) {
    /** @type {Record<string, number>} */
    const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns };
    const last = Math.ceil(this.codes.length / this.step) - 1;
    const from = this.chosen ?? 0;
    /** @type {Record<string, number>} */
    const ends = { Home: 0, End: last };
    let to = ends[event.key];
    if (event.key in moves) to = this.chosen === null ? 0 : from + moves[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.choose(Math.max(0, Math.min(last, to)));
  }
  /** @param {number | null} cell */
  choose(cell) {
    if (cell !== null && cell * this.step >= this.codes.length) cell = null;
    if (cell === this.chosen) return;
    this.chosen = cell;
    this.onCell(cell === null ? null : cell * this.step, cell === null ? 0 : this.step);
  }
}

// ---- one view --------------------------------------------------------------------------------------------------

class Card {
  /** @param {Store} store @param {HTMLElement} el */
  constructor(store, el) {
    this.store = store;
    /** @type {string[] | null} */
    this.colours = null; // by state code, of the page's theme
    /** @type {number | null} */
    this.drawing = null;
    /** @type {number | undefined} */
    this.labelTimer = undefined;
    this.failureKey = "";
    /** @type {Line[] | null} */
    this.lastOutput = null;
    this.root = make("div", "nbt-card", el);
    this.root.dataset.lmSuppressShortcuts = "true";
    this.root.setAttribute("role", "group");
    const head = make("div", "nbt-head", this.root);
    make("span", "nbt-dot", head);
    this.title = make("span", "nbt-title", head);
    this.meta = make("span", "nbt-meta", head);
    this.state = make("span", "nbt-state", head);
    this.time = make("span", "nbt-time", head);
    this.retry = this.button("nbt-retry", "retry", head);
    this.retry.textContent = "Retry failed";
    this.cancel = this.button("nbt-cancel", "cancel", head);
    this.bar = make("div", "nbt-bar", this.root);
    this.bar.setAttribute("role", "progressbar");
    this.barParts = "";
    this.counts = make("div", "nbt-counts", this.root);
    this.pace = make("span", "nbt-pace");
    this.reason = make("div", "nbt-reason", this.root);
    this.mosaic = new Mosaic(this.root, store.tables, (index, step) => this.detail(index, step));
    this.running = make("div", "nbt-running", this.root);
    this.failureBox = make("div", "nbt-failures", this.root);
    this.outputBox = make("div", "nbt-output", this.root);
    this.lines = make("pre", "nbt-lines", this.outputBox);
    this.more = make("button", "nbt-more", this.outputBox);
    this.more.type = "button";
    this.more.addEventListener("click", () => {
      this.outputBox.dataset.open = String(this.outputBox.dataset.open !== "true");
      this.drawOutput(true);
    });
    this.note = make("div", "nbt-note", this.root);
    this.voice = make("div", "nbt-unseen", this.root);
    this.voice.setAttribute("aria-live", "polite");
    this.spoken = 0;
    /** @type {number | null} */
    this.pointed = null; // the call of the mosaic's cell that is pointed at
    this.resize = new ResizeObserver(() => this.draw());
    this.resize.observe(el);
    this.theme = new MutationObserver(() => { this.colours = null; this.draw(); });
    this.theme.observe(document.body, { attributes: true });
    this.timer = setInterval(() => this.tick(), 250);
    store.views.add(this);
    this.show();
  }
  /** @param {string} name @param {string} command @param {Element} parent */
  button(name, command, parent) {
    const button = make("button", `nbt-button ${name}`, parent);
    button.type = "button";
    button.addEventListener("click", () => this.store.ask(command));
    return button;
  }
  close() {
    this.store.views.delete(this);
    this.resize.disconnect();
    this.theme.disconnect();
    clearInterval(this.timer);
  }

  show() {
    const view = this.store.view;
    if (!view) return;
    this.root.dataset.state = view.state;
    this.root.dataset.done = String(view.done);
    this.root.setAttribute("aria-label", `Task ${view.title}: ${view.state}`);
    setText(this.title, view.title);
    this.title.title = view.title;
    setText(this.meta, view.about);
    setText(this.state, view.shown_state);
    this.drawButtons(view);
    this.drawBar(view);
    this.drawCounts(view);
    this.reason.hidden = !view.reason;
    setText(this.reason, view.reason ?? "");
    this.drawRunning(view);
    this.drawFailures(view);
    this.drawOutput(false);
    this.mosaic.canvas.hidden = !view.many;
    this.tick();
    this.draw();
    this.speak(view);
  }
  /** @param {View} view */
  drawButtons(view) {
    const { asked, retried, problem } = this.store;
    const pressed = asked?.command === "cancel";
    this.cancel.hidden = view.done;
    this.cancel.disabled = pressed || view.stopping;
    setText(this.cancel, pressed || view.stopping ? "Stopping…" : "Cancel");
    this.retry.hidden = !view.can_retry || !!retried;
    this.retry.disabled = !!asked;
    const silent = asked && Date.now() - asked.at > ACK_WITHIN_MS;
    const busy = "The kernel is busy with a cell: it answers when the cell ends, or press ■ to stop that.";
    setText(this.note, silent ? busy : problem || retried);
    this.note.hidden = !this.note.textContent;
  }
  /** @param {View} view */
  drawBar({ bar, sentence }) {
    // Parts keep their elements as long as they are the same ones, so that their widths change smoothly.
    const parts = bar.slides ? "slides" : bar.parts.map(([state]) => state).join();
    if (parts !== this.barParts) {
      this.barParts = parts;
      if (bar.slides) this.bar.replaceChildren(make("i", "nbt-indeterminate"));
      else this.bar.replaceChildren(...bar.parts.map(([state]) => {
        const part = make("i");
        part.style.background = colourOf(state);
        return part;
      }));
    }
    const nodes = this.bar.querySelectorAll("i");
    bar.parts.forEach(([, share], place) => { nodes[place].style.width = `${100 * share}%`; });
    this.bar.setAttribute("aria-valuemin", "0");
    this.bar.setAttribute("aria-valuemax", String(bar.most));
    if (bar.slides) this.bar.removeAttribute("aria-valuenow"); else this.bar.setAttribute("aria-valuenow", String(bar.value));
    this.bar.setAttribute("aria-valuetext", sentence);
  }
  /** @param {View} view */
  drawCounts(view) {
    this.counts.hidden = !view.many;
    const nodes = view.counts.map(({ state, number, word }) => {
      const node = make("span", "nbt-count");
      make("i", "", node).style.background = colourOf(state);
      make("b", "", node).textContent = number;
      node.append(` ${word}`);
      return node;
    });
    if (this.pointed === null) setText(this.pace, view.pace);
    this.counts.replaceChildren(...nodes, this.pace);
  }
  /** @param {View} view */
  drawRunning(view) {
    // Short calls come and go too fast to read: only those that run for a while or report progress get a row.
    const now = this.store.now();
    const rows = view.rows.filter((row) => row.far || !view.many || now - row.started_at > 2);
    this.running.replaceChildren(...rows.map((row) => this.row(row, view.many)));
    if (!rows.length && view.done) this.running.style.minHeight = "";
    else this.running.style.minHeight = Math.max(parseFloat(this.running.style.minHeight) || 0, rows.length * 20) + "px";
  }
  /** @param {Row} row @param {boolean} many */
  row(row, many) {
    const node = make("div", "nbt-row");
    if (row.what) {
      const what = make("span", "nbt-what", node);
      what.textContent = row.what;
      what.title = row.label;
    }
    if (row.share !== null) make("i", "", make("span", "nbt-mini", node)).style.width = `${100 * row.share}%`;
    make("span", "nbt-far", node).textContent = row.far;
    make("span", "nbt-worker", node).textContent = row.worker;
    const time = make("span", "nbt-for", node);
    time.dataset.since = String(row.started_at);
    time.hidden = !many;
    return node;
  }
  /** @param {View} view */
  drawFailures(view) {
    const failures = this.store.failures;
    this.failureBox.hidden = !failures.length;
    const key = JSON.stringify([failures, view.more_failures]);
    if (key === this.failureKey) return;
    this.failureKey = key;
    const open = new Set([...this.failureBox.querySelectorAll("details")].filter((node) => node.open).map((node) => node.dataset.key));
    const groups = failures.map((failure, place) => this.failure(failure, open, `${failure.type} ${place}`));
    this.failureBox.replaceChildren(...groups);
    if (view.more_failures) make("div", "nbt-note", this.failureBox).textContent = view.more_failures;
  }
  /** @param {Failure} failure @param {Set<string | undefined>} open @param {string} key */
  failure(failure, open, key) {
    const node = make("details", "nbt-failure");
    node.dataset.key = key;
    node.open = open.has(key);
    const summary = make("summary", "", node);
    if (failure.times) make("span", "nbt-times", summary).textContent = failure.times;
    const error = make("span", "nbt-error", summary);
    make("b", "", error).textContent = failure.type;
    error.append(failure.message ? `: ${failure.message}` : "");
    if (failure.which) make("span", "nbt-which", summary).textContent = failure.which;
    make("pre", "nbt-traceback", node).textContent = failure.details;
    return node;
  }
  /** @param {boolean} always */
  drawOutput(always) {
    const output = this.store.output;
    if (!always && output === this.lastOutput) return;
    this.lastOutput = output;
    this.outputBox.hidden = !output.length;
    const open = this.outputBox.dataset.open === "true";
    const atEnd = this.lines.scrollTop + this.lines.clientHeight >= this.lines.scrollHeight - 4;
    const many = this.store.view?.many;
    this.lines.replaceChildren(...(open ? output : output.slice(-5)).map(([index, stream, text]) => {
      const line = make("div", "nbt-line");
      line.dataset.stream = stream;
      if (many) make("i", "", line).textContent = `#${index}`;
      line.append(text);
      return line;
    }));
    if (open && atEnd) this.lines.scrollTop = this.lines.scrollHeight;
    this.more.hidden = output.length <= 5;
    setText(this.more, open ? "show less" : `show ${output.length} lines`);
  }
  draw() {
    if (!this.store.view?.many || this.drawing !== null) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = null;
      const width = this.root.clientWidth - 28;
      if (width <= 0 || !this.store.codes.length) return;
      if (!this.colours) {
        const style = getComputedStyle(this.root);
        this.colours = this.store.tables.states.map(({ colour }) => style.getPropertyValue(colour).trim());
      }
      this.mosaic.draw(this.store.codes, width, this.colours);
      this.mosaic.canvas.setAttribute("aria-label", this.store.view?.sentence ?? "");
    });
  }
  // While a cell of the mosaic is pointed at, its call takes the place of the pace.
  /** @param {number | null} index @param {number} step */
  detail(index, step) {
    clearTimeout(this.labelTimer);
    this.pointed = index;
    if (index === null) { setText(this.pace, this.store.view?.pace ?? ""); return; }
    setText(this.pace, step > 1 ? `calls ${thousands(index)} to ${thousands(index + step - 1)}` : this.call(index));
    if (step === 1) this.labelTimer = setTimeout(() => this.store.send({ t: "label", index }), 120);
  }
  /** @param {Label} message */
  label(message) {
    if (message.index === this.pointed) setText(this.pace, `${this.call(message.index)} ${message.text}`);
  }
  /** @param {number} index */
  call(index) { return `#${thousands(index)} ${this.store.tables.states[this.store.codes[index]].name}`; }
  tick() {
    const { view, tables } = this.store;
    if (!view) return;
    const now = this.store.now();
    setText(this.time, view.took || clock(Math.max(0, now - view.created_at), tables.spans));
    for (const node of this.running.querySelectorAll("span")) {
      if (node.dataset.since) setText(node, clock(Math.max(0, now - Number(node.dataset.since)), tables.spans));
    }
  }
  /** @param {View} view */
  speak(view) {
    const now = Date.now();
    if (!view.done && now - this.spoken < ANNOUNCE_EVERY_MS) return;
    this.spoken = now;
    setText(this.voice, view.sentence);
  }
}

// The factory form: `initialize` and `render` get different model objects, so what they share must be made here.
export default () => {
  /** @type {Store} */
  let store;
  return {
    /** @param {{model: Model}} props */
    initialize({ model }) {
      store = new Store(model);
      return () => store.close();
    },
    /** @param {{el: HTMLElement}} props */
    render({ el }) {
      const card = new Card(store, el);
      return () => card.close();
    },
  };
};
