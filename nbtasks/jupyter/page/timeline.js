// @ts-check
// The timeline, in the place of the mosaic: lanes of children, a bar for each call, its wait before it. The kernel tells
// what there is in the part that is shown; short calls come together as one bar.

// Below the lanes there is room for a line of the page's own font.
const AXIS = 18, MOST_MARKS = 8, TIMELINE_EVERY_MS = 1000, LEAST_DRAG = 5;

class TimelineView {
  /**
   * @param {Element} parent @param {Store} store
   * @param {(index: number, byKey: boolean) => void} onOpen told which call is to be opened
   */
  constructor(parent, store, onOpen) {
    this.store = store;
    this.onOpen = onOpen;
    /** @type {TimelineSaid | null} */
    this.said = null;
    /** @type {[number, number] | null} */
    this.part = null; // seconds from the begin of the batch; null: all
    /** @type {TimeSpan | null} */
    this.chosen = null;
    /** @type {number | null} */
    this.dragged = null; // where a drag has begun, in pixels
    this.left = 0; // pixels, where the time begins
    this.asked = 0;
    /** @type {number | undefined} */
    this.timer = undefined;
    this.box = make("div", "nbt-timeline", parent);
    this.box.hidden = true;
    this.canvas = make("canvas", "nbt-lanes", this.box);
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-roledescription", "timeline");
    this.canvas.setAttribute("aria-label", "When each call ran, and on which child");
    this.canvas.setAttribute("aria-description", "Arrow keys choose a bar, Enter opens its call, plus and minus zoom.");
    const foot = make("div", "nbt-lanes-foot", this.box);
    this.text = make("span", "nbt-lanes-text", foot);
    this.text.setAttribute("aria-live", "polite");
    this.legend = make("span", "nbt-legend", foot);
    this.explained = "";
    makeButton("nbt-sign", foot, "−", () => this.zoom(2), "zoom out");
    makeButton("nbt-sign", foot, "+", () => this.zoom(0.5), "zoom in");
    makeButton("nbt-sign", foot, "all", () => this.show(null), "show all of it");
    this.canvas.addEventListener("pointerdown", (event) => { this.dragged = event.offsetX; });
    this.canvas.addEventListener("pointermove", (event) => this.move(event));
    this.canvas.addEventListener("pointerleave", () => { this.dragged = null; this.choose(null); });
    this.canvas.addEventListener("pointerup", (event) => this.release(event));
    this.canvas.addEventListener("dblclick", () => this.show(null));
    this.canvas.addEventListener("wheel", (event) => {
      // The page scrolls, unless somebody means to zoom.
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? 0.7 : 1.4, this.time(event.offsetX));
    });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
  }
  get isOpen() { return !this.box.hidden; }
  /** @param {boolean} open */
  toggle(open) {
    this.box.hidden = !open;
    if (open) this.ask(); else clearTimeout(this.timer);
  }
  forget() { clearTimeout(this.timer); }
  get width() { return Math.max(100, this.box.clientWidth); }
  ask() {
    clearTimeout(this.timer);
    if (!this.isOpen) return;
    const [from, to] = this.part ?? [null, null];
    this.asked += 1;
    this.store.send({ t: "timeline", from, to, columns: this.width, number: this.asked });
  }
  /** @param {TimelineSaid} said */
  take(said) {
    if (!this.isOpen || said.number !== this.asked) return;
    this.said = said;
    this.explain(said);
    this.draw();
    if (!said.done) this.timer = setTimeout(() => this.ask(), Math.max(TIMELINE_EVERY_MS, 20000 * said.cost_s));
  }
  /** Say what the shapes of the bars mean. @param {TimelineSaid} said */
  explain({ spans }) {
    const { tables } = this.store, codes = [...new Set(spans.flatMap((span) => [span[5], ...span[8].map(([other]) => other)]))].sort();
    if (codes.join() === this.explained) return;
    this.explained = codes.join();
    this.legend.replaceChildren(...codes.map((code) => {
      const node = make("span", "nbt-count");
      node.append(swatch(tables, tables.states[code].name), tables.states[code].word);
      return node;
    }));
  }
  /** Something has changed in the batch. */
  refresh() { if (this.isOpen && this.store.view?.done && this.said && !this.said.done) this.ask(); }
  /** @param {[number, number] | null} part seconds */
  show(part) {
    const took = this.said?.took ?? 0;
    this.part = part && (part[0] > 0 || part[1] < took) ? [Math.max(0, part[0]), Math.min(took, part[1])] : null;
    if (this.said) { [this.said.from, this.said.to] = this.part ?? [0, took]; this.draw(); }
    this.ask();
  }
  /** @param {number} by @param {number} [about] a moment that stays where it is */
  zoom(by, about) {
    if (!this.said) return;
    const { from, to } = this.said, centre = about ?? (this.chosen ? (this.chosen[3] + this.chosen[4]) / 2 : (from + to) / 2);
    this.show([centre - (centre - from) * by, centre + (to - centre) * by]);
  }

  /** @param {number} moment */
  x(moment) {
    if (!this.said) return 0;
    return this.left + ((moment - this.said.from) / (this.said.to - this.said.from || 1)) * (this.width - this.left);
  }
  /** @param {number} x */
  time(x) {
    if (!this.said) return 0;
    return this.said.from + ((x - this.left) / (this.width - this.left)) * (this.said.to - this.said.from);
  }
  /** How large rows, bars and gaps are, in pixels. */
  get sizes() { return this.store.tables.lanes; }
  tops() {
    const { row, gap } = this.sizes;
    let top = 0;
    return (this.said?.lanes ?? []).map(([, rows]) => { const here = top; top += rows * row + gap; return here; });
  }
  draw() {
    const pen = this.canvas.getContext("2d"), said = this.said;
    if (!pen || !said || !this.isOpen) return;
    const scale = window.devicePixelRatio || 1, tops = this.tops(), { row, bar, gap } = this.sizes;
    const height = said.lanes.reduce((sum, [, rows]) => sum + rows * row + gap, 0) + AXIS;
    this.canvas.style.width = `${this.width}px`;
    this.canvas.style.height = `${height}px`;
    this.canvas.width = Math.round(this.width * scale);
    this.canvas.height = Math.round(height * scale);
    const style = getComputedStyle(this.canvas);
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.font = `11px ${style.fontFamily}`;
    pen.textBaseline = "middle";
    this.left = Math.min(this.width / 3, 10 + Math.max(0, ...said.lanes.map(([name]) => pen.measureText(name).width)));
    const dim = style.color, line = style.borderTopColor;
    this.drawAxis(pen, height - AXIS, dim, line);
    pen.fillStyle = dim;
    said.lanes.forEach(([name], lane) => pen.fillText(name, 0, tops[lane] + bar / 2 + 2, this.left - 6));
    const colours = this.store.tables.states.map(({ colour }) => colour);
    pen.save();
    pen.beginPath();
    pen.rect(this.left, 0, this.width, height);
    pen.clip();
    // What is loud comes last, and is seen where bars overlap.
    const plain = this.store.tables.states.findIndex(({ name }) => name === "SUCCESS");
    const isLoud = (/** @type {TimeSpan} */ span) => span[5] !== plain || span[8].length > 0;
    for (const loud of [false, true]) {
      for (const span of said.spans) if (isLoud(span) === loud) this.drawSpan(pen, span, tops, colours, dim);
    }
    pen.restore();
    if (!said.spans.length) setText(this.text, said.done ? "Nothing is known of when these calls ran." : "No call has begun.");
    else if (!this.chosen) setText(this.text, said.hidden);
  }
  /** @param {CanvasRenderingContext2D} pen @param {TimeSpan} span @param {number[]} tops @param {string[]} colours @param {string} ink */
  drawSpan(pen, [lane, place, waits, begin, end, code, first, count, others], tops, colours, ink) {
    const { row, bar } = this.sizes, top = tops[lane] + place * row + 1, left = Math.round(this.x(begin)), right = Math.max(left + 1, Math.round(this.x(end)) - (count === 1 ? 1 : 0));
    if (waits !== null) {
      pen.fillStyle = ink;
      pen.globalAlpha = 0.4;
      pen.fillRect(this.x(waits), top + bar / 2, left - this.x(waits), 1);
      pen.globalAlpha = 1;
    }
    pen.fillStyle = colours[code];
    for (const [x, y, width, height] of filled(this.store.tables.stencils[bar][code], right - left)) pen.fillRect(left + x, top + y, width, height);
    // A few calls of another state among many: a mark above, and a gap that tells it from the bar without its colour.
    let above = top;
    for (const [louder, , height] of others) {
      if (!height) continue;
      pen.clearRect(left, above, right - left, height + 1);
      pen.fillStyle = colours[louder];
      pen.fillRect(left, above, right - left, height);
      above += height + 1;
    }
    if (!this.chosen || this.chosen[6] !== first || this.chosen[3] !== begin) return;
    pen.strokeStyle = ink;
    pen.lineWidth = 2;
    pen.strokeRect(left, top, Math.max(2, right - left), bar);
  }
  /** @param {CanvasRenderingContext2D} pen @param {number} top @param {string} ink @param {string} line */
  drawAxis(pen, top, ink, line) {
    if (!this.said) return;
    const { from, to } = this.said, least = Math.max((to - from) / MOST_MARKS, 1e-9);
    const size = 10 ** Math.floor(Math.log10(least)), every = size * ([1, 2, 5, 10].find((step) => size * step >= least * 0.999) ?? 10);
    const digits = Math.max(0, -Math.floor(Math.log10(every) + 1e-9));
    for (let number = Math.ceil(from / every); number * every <= to; number++) {
      const x = this.x(number * every);
      pen.fillStyle = line;
      pen.fillRect(x, 0, 1, top + 3);
      pen.fillStyle = ink;
      if (x + 40 < this.width) pen.fillText(`${(number * every).toFixed(digits)} s`, x, top + 10);
    }
  }

  /**
   * The bar at a place, or close by.
   * @param {number} x @param {number} y
   */
  at(x, y) {
    const tops = this.tops(), spans = this.said?.spans ?? [], { row } = this.sizes;
    let best = null, least = 4;
    for (const span of spans) {
      const top = tops[span[0]] + span[1] * row;
      if (y < top || y >= top + row) continue;
      const far = Math.max(0, this.x(span[3]) - x, x - Math.max(this.x(span[3]) + 1, this.x(span[4])));
      if (far < least) { best = span; least = far; }
    }
    return best;
  }
  /** @param {PointerEvent} event */
  move(event) {
    if (this.dragged === null || Math.abs(event.offsetX - this.dragged) < LEAST_DRAG) { this.choose(this.at(event.offsetX, event.offsetY)); return; }
    this.draw();
    const pen = this.canvas.getContext("2d");
    if (!pen) return;
    pen.fillStyle = getComputedStyle(this.canvas).color;
    pen.globalAlpha = 0.15;
    pen.fillRect(this.dragged, 0, event.offsetX - this.dragged, this.canvas.clientHeight);
    pen.globalAlpha = 1;
  }
  /** @param {PointerEvent} event */
  release(event) {
    const from = this.dragged;
    this.dragged = null;
    if (from !== null && Math.abs(event.offsetX - from) >= LEAST_DRAG) {
      this.show([this.time(Math.min(from, event.offsetX)), this.time(Math.max(from, event.offsetX))]);
      return;
    }
    const span = this.at(event.offsetX, event.offsetY);
    if (span) this.onOpen(span[6], false);
  }
  /** @param {TimeSpan | null} span */
  choose(span) {
    if (span === this.chosen) return;
    this.chosen = span;
    this.draw();
    if (!span) return;
    setText(this.text, this.told(span));
    this.store.askName(span[6]);
  }
  /** The kernel has told what a call is called. @param {number} index */
  named(index) { if (this.chosen?.[6] === index) setText(this.text, this.told(this.chosen)); }
  /** @param {TimeSpan} span */
  told([, , waits, begin, end, code, first, count, others]) {
    const { states, spans } = this.store.tables, name = this.store.nameOf(first);
    const most = count - others.reduce((sum, [, n]) => sum + n, 0);
    const counts = [[code, most], ...others].map(([state, n]) => `${thousands(n)} ${states[state].word}`).join(", ");
    const which = count === 1 ? `${name} ${states[code].word}`
      : !others.length ? `${thousands(count)} calls ${states[code].word}, one of them ${name}`
      : `${thousands(count)} calls: ${counts}${others[0][1] === 1 ? ": " : ", one of them "}${name}`;
    const parts = [which, `ran ${clock(end - begin, spans)}`];
    if (count === 1 && waits !== null) parts.push(`queued ${clock(Math.max(0, begin - (this.said?.queued ?? 0)), spans)}`);
    return parts.join(" · ");
  }
  /** @param {KeyboardEvent} event */
  key(event) {
    const spans = this.said?.spans ?? [], place = this.chosen ? spans.findIndex((span) => span[3] === this.chosen?.[3] && span[6] === this.chosen[6]) : -1;
    /** @type {Record<string, () => void>} */
    const actions = {
      "+": () => this.zoom(0.5), "-": () => this.zoom(2), 0: () => this.show(null),
      ArrowRight: () => this.choose(spans[Math.min(spans.length - 1, place + 1)] ?? null),
      ArrowLeft: () => this.choose(spans[Math.max(0, place - 1)] ?? null),
      Enter: () => { if (this.chosen) this.onOpen(this.chosen[6], true); },
    };
    if (!(event.key in actions)) return;
    event.preventDefault();
    actions[event.key]();
  }
}
