// One card: the live view of one batch. The kernel sends one message a tick; nothing here writes to the model.
// All text of tasks goes through textContent: it may hold anything.

const STATES = ["PENDING", "RECEIVED", "STARTED", "RETRY", "SUCCESS", "FAILURE", "REVOKED"];
const FAILURE = 5;
const COLOURS = ["empty", "received", "run", "retry", "ok", "fail", "revoked"];
// What a count is called, and the order in which counts and the parts of the bar stand.
const PARTS = [
  ["SUCCESS", "done", "ok"],
  ["FAILURE", "failed", "fail"],
  ["REVOKED", "revoked", "revoked"],
  ["STARTED", "running", "run"],
  ["RETRY", "to retry", "retry"],
];
// A pixel that stands for several calls shows the first of these states that is among them.
const LOUDEST = [5, 3, 2, 6, 1, 0, 4];
const LAYOUTS = [[12, 3], [10, 5], [7, 10], [5, 16], [4, 24], [3, 40], [2, 80]];
const MOST_CELLS = 100000;
const ANNOUNCE_EVERY_MS = 10000;
const ACK_WITHIN_MS = 3000;

// JupyterLab looks for this attribute from the element with the focus outwards, and its shortcuts match that element
// first: `d d` on a button would delete the cell. So what can have the focus carries it itself.
const FOCUSABLE = new Set(["button", "canvas", "summary"]);

const make = (tag, name, parent) => {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (FOCUSABLE.has(tag)) node.dataset.lmSuppressShortcuts = "true";
  if (parent) parent.append(node);
  return node;
};
const setText = (node, text) => { if (node.textContent !== text) node.textContent = text; };
const thousands = (number) => number.toLocaleString("en-US");

function duration(seconds) {
  if (seconds < 9.995) return seconds.toFixed(seconds < 1 ? 2 : 1) + " s";
  if (seconds < 59.95) return seconds.toFixed(1) + " s";
  const whole = Math.round(seconds), minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}
function remaining(seconds) {
  if (seconds < 1.5) return "a second left";
  if (seconds < 90) return `${Math.round(seconds)} s left`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min left`;
  return `${(seconds / 3600).toFixed(1)} h left`;
}
function rate(perSecond) {
  if (perSecond >= 1000) return `${thousands(Math.round(perSecond))}/s`;
  if (perSecond >= 1) return `${perSecond >= 100 ? Math.round(perSecond) : perSecond.toPrecision(2)}/s`;
  return `${(perSecond * 60).toPrecision(2)}/min`;
}
const bytes = (view) => new Uint8Array(view ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength) : 0);

// ---- the store: one for all views of a card; it survives views that come and go -------------------------------

class Store {
  constructor(model) {
    this.model = model;
    this.views = new Set();
    this.asked = null; // the command that waits for the kernel's answer, and since when
    this.onMessage = (message, buffers) => this.receive(message, buffers);
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
  take(head) {
    for (const key of ["view", "failures", "output"]) if (head[key]) this[key] = head[key];
    if (head.now) this.clock = head.now - Date.now() / 1000;
  }
  receive(message, buffers) {
    if (message.k === "label") { for (const view of this.views) view.label(message); return; }
    if (message.k === "retried") { this.retried = message.id; this.asked = null; this.show(); return; }
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
    if (this.view.stopping || this.view.done) this.asked = null;
    this.show();
  }
  apply(data, ranges) {
    const numbers = new Uint32Array(data.buffer, 0, 2 * ranges);
    let at = 8 * ranges;
    for (let r = 0; r < ranges; r++) {
      const length = numbers[ranges + r];
      this.codes.set(data.subarray(at, at + length), numbers[r]);
      at += length;
    }
  }
  send(content) { this.model.send(content); }
  ask(command) {
    this.asked = { command, at: Date.now() };
    this.problem = null;
    this.send({ t: command });
    this.show();
    setTimeout(() => this.show(), ACK_WITHIN_MS + 50);
  }
  now() { return Date.now() / 1000 + (this.clock || 0); }
  show() { for (const view of this.views) view.show(); }
}

// ---- the mosaic ------------------------------------------------------------------------------------------------

class Mosaic {
  constructor(card, onCell) {
    this.canvas = make("canvas", "nbt-mosaic", card);
    this.canvas.setAttribute("role", "img");
    this.canvas.tabIndex = 0;
    this.onCell = onCell;
    this.chosen = null;
    this.canvas.addEventListener("mousemove", (event) => this.choose(this.at(event)));
    this.canvas.addEventListener("mouseleave", () => this.choose(null));
    this.canvas.addEventListener("blur", () => this.choose(null));
    this.canvas.addEventListener("keydown", (event) => this.key(event));
  }
  layout(cells, width) {
    for (const [side, rows] of LAYOUTS) {
      const columns = Math.max(1, Math.floor(width / side));
      if (cells <= columns * rows) return [side, Math.min(columns, cells)];
    }
    return [1, Math.max(1, Math.floor(width))];
  }
  draw(codes, width, colours) {
    this.codes = codes;
    this.step = Math.max(1, Math.ceil(codes.length / MOST_CELLS));
    const cells = Math.ceil(codes.length / this.step);
    [this.side, this.columns] = this.layout(cells, width);
    this.rows = Math.ceil(cells / this.columns);
    if (this.side > 3) this.drawSquares(cells, colours); else this.drawPixels(cells, colours);
  }
  code(cell) {
    if (this.step === 1) return this.codes[cell];
    const run = this.codes.subarray(cell * this.step, (cell + 1) * this.step);
    return LOUDEST.find((code) => run.includes(code)) ?? 0;
  }
  size(width, height, cssWidth, cssHeight) {
    const canvas = this.canvas;
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    canvas.style.width = cssWidth + "px";
    canvas.style.height = cssHeight + "px";
  }
  drawSquares(cells, colours) {
    const scale = window.devicePixelRatio || 1, side = this.side, square = side - (side > 6 ? 2 : 1);
    this.size(Math.round(this.columns * side * scale), Math.round(this.rows * side * scale), this.columns * side, this.rows * side);
    const pen = this.canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, this.columns * side, this.rows * side);
    for (let code = 0; code < STATES.length; code++) {
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
  drawPixels(cells, colours) {
    this.size(this.columns, this.rows, this.columns * this.side, this.rows * this.side);
    const pen = this.canvas.getContext("2d");
    const image = pen.createImageData(this.columns, this.rows);
    const pixels = new Uint32Array(image.data.buffer);
    const words = colours.map((colour) => this.word(colour));
    const codes = new Uint8Array(cells);
    for (let cell = 0; cell < cells; cell++) pixels[cell] = words[(codes[cell] = this.code(cell))];
    // A failure of one or two pixels would be overlooked among thousands: it takes three neighbours along.
    if (this.side < 3) for (let cell = codes.indexOf(FAILURE); cell >= 0; cell = codes.indexOf(FAILURE, cell + 1)) {
      for (const near of [cell + 1, cell + this.columns, cell + this.columns + 1]) if (near < cells) pixels[near] = words[FAILURE];
    }
    pen.putImageData(image, 0, 0);
  }
  word(colour) { // #rrggbb to the bytes of a pixel
    const value = parseInt(colour.slice(1), 16);
    return (0xff000000 | ((value & 0xff) << 16) | (value & 0xff00) | (value >> 16)) >>> 0;
  }
  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left) / this.side), row = Math.floor((event.clientY - box.top) / this.side);
    return column >= this.columns ? null : row * this.columns + column;
  }
  key(event) {
    const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns };
    const last = Math.ceil(this.codes.length / this.step) - 1;
    const from = this.chosen ?? 0;
    let to = { Home: 0, End: last }[event.key];
    if (event.key in moves) to = this.chosen === null ? 0 : from + moves[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.choose(Math.max(0, Math.min(last, to)));
  }
  choose(cell) {
    if (cell !== null && cell * this.step >= this.codes.length) cell = null;
    if (cell === this.chosen) return;
    this.chosen = cell;
    this.onCell(cell === null ? null : cell * this.step, cell === null ? 0 : this.step);
  }
}

// ---- one view --------------------------------------------------------------------------------------------------

class Card {
  constructor(store, el) {
    this.store = store;
    this.root = make("div", "nbt-card", el);
    this.root.dataset.lmSuppressShortcuts = "true";
    this.root.setAttribute("role", "group");
    this.head();
    this.bar = make("div", "nbt-bar", this.root);
    this.bar.setAttribute("role", "progressbar");
    this.counts = make("div", "nbt-counts", this.root);
    this.pace = make("span", "nbt-pace");
    this.reason = make("div", "nbt-reason", this.root);
    this.mosaic = new Mosaic(this.root, (index, step) => this.detail(index, step));
    this.running = make("div", "nbt-running", this.root);
    this.failureBox = make("div", "nbt-failures", this.root);
    this.outputs();
    this.note = make("div", "nbt-note", this.root);
    this.voice = make("div", "nbt-unseen", this.root);
    this.voice.setAttribute("aria-live", "polite");
    this.spoken = 0;
    this.pointed = null;
    this.watch(el);
    this.show();
  }
  head() {
    const head = make("div", "nbt-head", this.root);
    make("span", "nbt-dot", head);
    this.title = make("span", "nbt-title", head);
    this.meta = make("span", "nbt-meta", head);
    this.state = make("span", "nbt-state", head);
    this.time = make("span", "nbt-time", head);
    this.retry = this.button("nbt-retry", "retry", head);
    this.retry.textContent = "Retry failed";
    this.cancel = this.button("nbt-cancel", "cancel", head);
  }
  button(name, command, parent) {
    const button = make("button", `nbt-button ${name}`, parent);
    button.type = "button";
    button.addEventListener("click", () => this.store.ask(command));
    return button;
  }
  outputs() {
    this.outputBox = make("div", "nbt-output", this.root);
    this.lines = make("pre", "nbt-lines", this.outputBox);
    this.more = make("button", "nbt-more", this.outputBox);
    this.more.type = "button";
    this.more.addEventListener("click", () => {
      this.outputBox.dataset.open = String(this.outputBox.dataset.open !== "true");
      this.drawOutput(true);
    });
  }
  watch(el) {
    this.resize = new ResizeObserver(() => this.draw());
    this.resize.observe(el);
    this.theme = new MutationObserver(() => { this.colours = null; this.draw(); });
    this.theme.observe(document.body, { attributes: true });
    this.timer = setInterval(() => this.tick(), 250);
    this.store.views.add(this);
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
    const parts = [view.n > 1 || view.kind === "map" ? `${thousands(view.n)} call${view.n === 1 ? "" : "s"}` : "", view.queue === "default" ? "" : `queue ${view.queue}`, view.id.slice(-6)];
    setText(this.meta, parts.filter(Boolean).join(" · "));
    setText(this.state, view.stopping ? "STOPPING" : view.state);
    this.drawButtons(view);
    this.drawBar(view);
    this.drawCounts(view);
    this.reason.hidden = !view.reason;
    setText(this.reason, view.reason || "");
    this.drawRunning(view);
    this.drawFailures(view);
    this.drawOutput(false);
    this.tick();
    this.draw();
    this.speak(view);
  }
  drawButtons(view) {
    const asked = this.store.asked;
    const pressed = asked && asked.command === "cancel";
    this.cancel.hidden = view.done;
    this.cancel.disabled = !!pressed || view.stopping;
    setText(this.cancel, pressed || view.stopping ? "Stopping…" : "Cancel");
    this.retry.hidden = view.n === 1 || !view.counts.FAILURE || !!this.store.retried;
    this.retry.disabled = !!asked;
    const silent = asked && Date.now() - asked.at > ACK_WITHIN_MS;
    const retried = this.store.retried ? `Retried as ${this.store.retried.slice(-6)}.` : "";
    const busy = "The kernel is busy with a cell: it answers when the cell ends, or press ■ to stop that.";
    setText(this.note, silent ? busy : this.store.problem || retried);
    this.note.hidden = !this.note.textContent;
  }
  drawBar(view) {
    const single = view.n === 1 && view.kind !== "map";
    const progress = single && view.running[0] && view.running[0].progress;
    const known = progress && progress[1];
    let widths = PARTS.map(([state, , colour]) => [colour, (view.counts[state] || 0) / Math.max(1, view.n)]);
    const unknown = single && !known && view.state === "STARTED";
    if (known) widths = [["run", Math.min(1, progress[0] / progress[1])]];
    if (unknown) widths = [];
    while (this.bar.children.length > (unknown ? 1 : PARTS.length)) this.bar.lastChild.remove();
    widths.forEach(([colour, share], place) => {
      const part = this.bar.children[place] || make("i", "", this.bar);
      part.className = "";
      part.style.background = `var(--nbt-${colour})`;
      part.style.width = `${100 * share}%`;
    });
    for (let place = widths.length; place < this.bar.children.length; place++) this.bar.children[place].style.width = "0";
    if (unknown) {
      const part = this.bar.children[0] || make("i", "", this.bar);
      part.className = "nbt-indeterminate";
      part.removeAttribute("style");
    }
    const finished = (view.counts.SUCCESS || 0) + (view.counts.FAILURE || 0) + (view.counts.REVOKED || 0);
    this.bar.setAttribute("aria-valuemin", "0");
    this.bar.setAttribute("aria-valuemax", String(known ? progress[1] : view.n));
    if (unknown) this.bar.removeAttribute("aria-valuenow");
    else this.bar.setAttribute("aria-valuenow", String(known ? progress[0] : finished));
    this.bar.setAttribute("aria-valuetext", this.sentence(view));
  }
  sentence(view) {
    if (view.n === 1) return `${view.title}: ${view.state}`;
    const said = PARTS.filter(([state]) => view.counts[state]).map(([state, word]) => `${view.counts[state]} ${word}`);
    return `${view.title}: ${said.join(", ") || "waiting"} of ${view.n}`;
  }
  drawCounts(view) {
    this.counts.hidden = view.n === 1 && view.kind !== "map";
    const waiting = (view.counts.PENDING || 0) + (view.counts.RECEIVED || 0);
    const shown = [...PARTS.map(([state, word, colour]) => [view.counts[state] || 0, word, colour]), [waiting, "waiting", "empty"]];
    // "done" always stands, so that the line does not jump when the first call ends.
    const nodes = shown.filter(([count, word]) => count || word === "done").map(([count, word, colour]) => {
      const node = make("span", "nbt-count");
      make("i", "", node).style.background = `var(--nbt-${colour})`;
      make("b", "", node).textContent = thousands(count);
      node.append(` ${word}`);
      return node;
    });
    const words = [view.rate ? rate(view.rate) : "", view.remaining_s !== null && view.remaining_s !== undefined ? remaining(view.remaining_s) : ""];
    this.paceText = words.filter(Boolean).join(" · ");
    if (this.pointed === null) setText(this.pace, this.paceText);
    this.counts.replaceChildren(...nodes, this.pace);
  }
  drawRunning(view) {
    const many = view.n > 1 || view.kind === "map";
    // Short calls come and go too fast to read: only those that run for a while or report progress get a row.
    const now = this.store.now();
    const rows = view.running.filter((row) => row.progress || !many || now - row.started_at > 2);
    this.running.replaceChildren(...rows.map((row) => this.row(row, many)));
    if (!rows.length && view.done) this.running.style.minHeight = "";
    else this.running.style.minHeight = Math.max(parseFloat(this.running.style.minHeight) || 0, rows.length * 20) + "px";
  }
  row(row, many) {
    const node = make("div", "nbt-row");
    if (many) {
      const what = make("span", "nbt-what", node);
      what.textContent = `#${row.index} ${row.label}`;
      what.title = row.label;
    }
    if (row.progress && row.progress[1] && many) make("i", "", make("span", "nbt-mini", node)).style.width = `${Math.min(100, (100 * row.progress[0]) / row.progress[1])}%`;
    const far = make("span", "nbt-far", node);
    const amount = row.progress ? (row.progress[1] ? `${thousands(row.progress[0])} / ${thousands(row.progress[1])}` : thousands(row.progress[0])) : "";
    far.textContent = [amount, row.progress && row.progress[2], row.attempt > 1 ? `attempt ${row.attempt}` : ""].filter(Boolean).join(" · ");
    make("span", "nbt-worker", node).textContent = row.worker;
    const time = make("span", "nbt-for", node);
    time.dataset.since = row.started_at;
    if (!many) time.hidden = true;
    return node;
  }
  drawFailures(view) {
    const failures = this.store.failures || [];
    this.failureBox.hidden = !failures.length;
    const key = JSON.stringify([failures.map((group) => [group.type, group.message, group.count]), view.more_failures]);
    if (key === this.failureKey) return;
    this.failureKey = key;
    const open = new Set([...this.failureBox.querySelectorAll("details[open]")].map((node) => node.dataset.key));
    const groups = failures.map((group, place) => this.failure(group, open, view, place));
    this.failureBox.replaceChildren(...groups);
    if (view.more_failures) make("div", "nbt-note", this.failureBox).textContent = `and ${thousands(view.more_failures)} more failures`;
  }
  failure(group, open, view, place) {
    const node = make("details", "nbt-failure");
    node.dataset.key = `${group.type} ${place}`;
    node.open = open.has(node.dataset.key);
    const summary = make("summary", "", node);
    if (view.n > 1) make("span", "nbt-times", summary).textContent = `${thousands(group.count)} ×`;
    const error = make("span", "nbt-error", summary);
    make("b", "", error).textContent = group.type;
    error.append(group.message ? `: ${group.message.split("\n")[0]}` : "");
    if (view.n > 1) make("span", "nbt-which", summary).textContent = `#${group.indexes[0]} ${group.label}`;
    const text = group.attempts > 1 ? `${group.traceback}\n(attempt ${group.attempts})` : group.traceback;
    make("pre", "nbt-traceback", node).textContent = text || group.message;
    return node;
  }
  drawOutput(always) {
    const output = this.store.output || [];
    if (!always && output === this.lastOutput) return;
    this.lastOutput = output;
    this.outputBox.hidden = !output.length;
    const open = this.outputBox.dataset.open === "true";
    const atEnd = this.lines.scrollTop + this.lines.clientHeight >= this.lines.scrollHeight - 4;
    const many = this.store.view.n > 1;
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
    const single = !this.store.view || (this.store.view.n === 1 && this.store.view.kind !== "map");
    this.mosaic.canvas.hidden = single;
    if (single || this.drawing) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = null;
      const width = this.root.clientWidth - 28;
      if (width <= 0 || !this.store.codes.length) return;
      if (!this.colours) {
        const style = getComputedStyle(this.root);
        this.colours = COLOURS.map((name) => style.getPropertyValue(`--nbt-${name}`).trim());
      }
      this.mosaic.draw(this.store.codes, width, this.colours);
      this.mosaic.canvas.setAttribute("aria-label", this.sentence(this.store.view));
    });
  }
  // While a cell of the mosaic is pointed at, its call takes the place of the pace.
  detail(index, step) {
    clearTimeout(this.labelTimer);
    this.pointed = index;
    if (index === null) { setText(this.pace, this.paceText || ""); return; }
    const state = STATES[this.store.codes[index]];
    setText(this.pace, step > 1 ? `calls ${thousands(index)} to ${thousands(index + step - 1)}` : `#${thousands(index)} ${state}`);
    if (step === 1) this.labelTimer = setTimeout(() => this.store.send({ t: "label", index }), 120);
  }
  label(message) {
    if (message.index !== this.pointed) return;
    setText(this.pace, `#${thousands(message.index)} ${STATES[this.store.codes[message.index]]} ${message.text}`);
  }
  tick() {
    const view = this.store.view;
    if (!view) return;
    const now = this.store.now();
    setText(this.time, duration(Math.max(0, (view.done ? view.ended_at : now) - view.created_at)));
    for (const node of this.running.querySelectorAll("[data-since]")) setText(node, duration(Math.max(0, now - node.dataset.since)));
  }
  speak(view) {
    const now = Date.now();
    if (!view.done && now - this.spoken < ANNOUNCE_EVERY_MS) return;
    this.spoken = now;
    setText(this.voice, this.sentence(view));
  }
}

// The factory form: `initialize` and `render` get different model objects, so what they share must be made here.
export default () => {
  let store;
  return {
    initialize({ model }) {
      store = new Store(model);
      return () => store.close();
    },
    render({ el }) {
      const card = new Card(store, el);
      return () => card.close();
    },
  };
};
