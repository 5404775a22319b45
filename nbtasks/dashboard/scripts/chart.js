// @ts-check
// A line or an area over time, as a picture that scales with its place; what it was at a moment is read by pointer or arrow keys.

const SVG_SPACE = "http://www.w3.org/2000/svg", CHART_WIDTH = 600;

/**
 * @typedef {{name: string, state?: string, colour: string, down?: boolean, value(point: any): number}} Series
 * `down`: drawn downwards from the middle line, so that it is told by its place and not by its colour alone.
 */

class Chart {
  /**
   * @param {Element} parent @param {string} title @param {Series[]} series
   * @param {{height: number, say(value: number): string, least?: number}} how
   */
  constructor(parent, title, series, { height, say, least = 1 }) {
    this.title = title;
    this.series = series;
    this.height = height;
    this.say = say;
    this.least = least;
    /** @type {any[]} */
    this.points = [];
    this.now = 0;
    /** @type {number | null} */
    this.at = null;
    const box = this.box = make("figure", "nbt-chart", parent);
    const head = make("figcaption", "nbt-chart-head", box);
    make("b", "", head).textContent = title;
    this.values = series.map(({ name, state, colour }) => {
      const item = make("span", "nbt-count", head);
      if (state) mark(state, item);
      else if (series.length > 1) make("i", "nbt-key", item).style.background = colour;
      const value = make("b", "", item);
      item.append(series.length > 1 ? ` ${name}` : "");
      return value;
    });
    this.when = make("span", "nbt-chart-when", head);
    const plot = this.plot = ownKeys(make("div", "nbt-plot", box));
    plot.tabIndex = 0;
    plot.setAttribute("role", "slider");
    plot.setAttribute("aria-orientation", "horizontal");
    plot.setAttribute("aria-label", `${title}: arrow keys read it moment by moment`);
    this.most = make("span", "nbt-most", plot);
    this.fewest = make("span", "nbt-fewest", plot);
    this.since = make("span", "nbt-since", plot);
    make("span", "nbt-until", plot).textContent = "now";
    this.picture = document.createElementNS(SVG_SPACE, "svg");
    this.picture.setAttribute("viewBox", `0 0 ${CHART_WIDTH} ${height}`);
    this.picture.setAttribute("preserveAspectRatio", "none");
    this.picture.setAttribute("aria-hidden", "true");
    this.picture.style.height = `${height}px`;
    plot.append(this.picture);
    this.middle = this.shape("line", "nbt-zero");
    this.areas = series.map(({ colour }) => {
      const area = this.shape("path", "nbt-area"), line = this.shape("path", "nbt-stroke");
      area.style.fill = colour;
      line.style.stroke = colour;
      return { area, line };
    });
    this.cursor = this.shape("line", "nbt-cursor");
    plot.addEventListener("pointermove", (event) => this.point(event.clientX));
    plot.addEventListener("pointerleave", () => this.choose(null));
    plot.addEventListener("blur", () => this.choose(null));
    plot.addEventListener("keydown", (event) => this.key(event));
  }
  /** @param {string} tag @param {string} name */
  shape(tag, name) {
    const node = /** @type {SVGElement} */ (document.createElementNS(SVG_SPACE, tag));
    node.setAttribute("class", name);
    this.picture.append(node);
    return node;
  }
  /** @param {any[]} points with `t`, oldest first @param {number} now */
  show(points, now) {
    this.points = points;
    this.now = now;
    const up = this.series.filter(({ down }) => !down), below = this.series.filter(({ down }) => down);
    /** @param {Series[]} some */
    const top = (some) => nice(Math.max(this.least, ...points.map((point) => Math.max(0, ...some.map(({ value }) => value(point))))));
    const most = top(up), fewest = below.length ? top(below) : 0;
    // What goes down has a third of the room at the most.
    const zero = below.length ? this.height * 0.72 : this.height - 1;
    this.series.forEach(({ value, down }, place) => {
      const scale = down ? (this.height - zero - 2) / fewest : -(zero - 3) / most;
      const spots = points.map((point, index) => `${this.x(index).toFixed(1)} ${(zero + scale * value(point)).toFixed(1)}`);
      const path = spots.length ? `M${spots.join("L")}` : "";
      this.areas[place].line.setAttribute("d", path);
      this.areas[place].area.setAttribute("d", path && `${path}L${this.x(points.length - 1).toFixed(1)} ${zero}L${this.x(0).toFixed(1)} ${zero}Z`);
    });
    for (const [name, where] of /** @type {[string, number][]} */ ([["x1", 0], ["x2", CHART_WIDTH], ["y1", zero], ["y2", zero]])) this.middle.setAttribute(name, String(where));
    setText(this.most, this.say(most));
    setText(this.fewest, below.length ? this.say(fewest) : "");
    setText(this.since, points.length ? ago(points[0].t, now) : "");
    this.read();
  }
  /** @param {number} index */
  x(index) { return this.points.length < 2 ? CHART_WIDTH : index / (this.points.length - 1) * CHART_WIDTH; }
  /** @param {number} clientX */
  point(clientX) {
    const { left, width } = this.plot.getBoundingClientRect();
    this.choose(Math.round((clientX - left) / (width || 1) * (this.points.length - 1)));
  }
  /** @param {number | null} index */
  choose(index) {
    this.at = index === null ? null : Math.max(0, Math.min(this.points.length - 1, index));
    this.read();
  }
  read() {
    const index = this.at ?? this.points.length - 1, point = this.points[index];
    this.series.forEach(({ value }, place) => setText(this.values[place], point ? this.say(value(point)) : "–"));
    setText(this.when, this.at !== null && point ? moment(point.t, this.now) : "");
    this.cursor.style.display = this.at === null ? "none" : "";
    for (const [name, where] of /** @type {[string, number][]} */ ([["x1", this.x(index)], ["x2", this.x(index)], ["y1", 0], ["y2", this.height]])) this.cursor.setAttribute(name, String(where));
    const { plot } = this;
    plot.setAttribute("aria-valuemin", "0");
    plot.setAttribute("aria-valuemax", String(Math.max(0, this.points.length - 1)));
    plot.setAttribute("aria-valuenow", String(Math.max(0, index)));
    const told = point ? this.series.map(({ name, value }) => `${this.say(value(point))} ${name}`).join(", ") : "nothing yet";
    plot.setAttribute("aria-valuetext", point ? `${moment(point.t, this.now)}: ${told}` : told);
  }
  /** @param {KeyboardEvent} event */
  key(event) {
    const last = this.points.length - 1, from = this.at ?? last;
    /** @type {Record<string, number>} */
    const to = { ArrowLeft: from - 1, ArrowRight: from + 1, PageUp: from - 30, PageDown: from + 30, Home: 0, End: last };
    if (!(event.key in to)) return;
    event.preventDefault();
    event.stopPropagation();
    this.choose(to[event.key]);
  }
}
/** The next round number, so that the scale keeps still while values change. @param {number} most */
function nice(most) {
  const step = 10 ** Math.floor(Math.log10(most));
  return step * ([1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((times) => times * step >= most * 0.999) ?? 10);
}
