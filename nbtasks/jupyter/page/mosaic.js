// @ts-check
// The mosaic: one cell a call, drawn on a canvas. A click on a cell opens its call.

// Where cells are smaller than this (pixels), a click may miss by some: what has failed close by is what was meant.
const HARD_TO_HIT = 6, MISSED_BY = 4;

class Mosaic {
  /**
   * @param {Element} card
   * @param {Tables} tables
   * @param {(index: number | null, step: number) => void} onCell told which call is pointed at
   * @param {(index: number, byKey: boolean) => void} onOpen told which call is to be opened
   */
  constructor(card, tables, onCell, onOpen) {
    this.tables = tables;
    this.codes = this.cells = bytes(null); // of calls; of what is drawn
    this.step = this.side = this.columns = this.rows = 1; // calls of a cell; pixels of a cell; cells
    this.gap = 0; // pixels between cells
    this.canvas = make("canvas", "nbt-mosaic", card);
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-roledescription", "calls");
    this.canvas.setAttribute("aria-description", "Arrow keys choose a call, Enter opens it.");
    this.canvas.tabIndex = 0;
    this.onCell = onCell;
    this.onOpen = onOpen;
    /** @type {number | null} */
    this.chosen = null;
    this.byKey = false; // the chosen one: it is announced
    this.canvas.addEventListener("mousemove", (event) => { this.byKey = false; this.choose(this.at(event)); });
    this.canvas.addEventListener("mouseleave", () => this.choose(null));
    this.canvas.addEventListener("click", (event) => {
      const cell = this.at(event);
      if (cell !== null) this.open(this.meant(cell), false);
    });
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
  /** @param {Store["codes"]} codes @param {number} width */
  draw(codes, width) {
    const colours = this.tables.states.map(({ colour }) => colour);
    this.codes = codes;
    this.step = Math.max(1, Math.ceil(codes.length / this.tables.most_cells));
    this.cells = this.step === 1 ? codes : loudestOf(codes, this.step, this.tables.loudest);
    this.layout(this.cells.length, width);
    const pen = this.canvas.getContext("2d");
    if (!pen) return;
    if (this.gap) this.drawSquares(pen, this.cells, colours); else this.drawPixels(pen, this.cells, colours);
  }
  /** @param {number} width @param {number} height @param {number} cssWidth @param {number} cssHeight */
  size(width, height, cssWidth, cssHeight) {
    const canvas = this.canvas;
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    canvas.style.width = cssWidth + "px";
    canvas.style.height = cssHeight + "px";
  }
  /** @param {CanvasRenderingContext2D} pen @param {Store["codes"]} cells @param {string[]} colours */
  drawSquares(pen, cells, colours) {
    const scale = window.devicePixelRatio || 1, side = this.side, square = side - this.gap;
    this.size(Math.round(this.columns * side * scale), Math.round(this.rows * side * scale), this.columns * side, this.rows * side);
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, this.columns * side, this.rows * side);
    const shapes = this.tables.stencils[square].map((stencil) => filled(stencil));
    for (let code = 0; code < colours.length; code++) {
      pen.fillStyle = colours[code];
      pen.beginPath();
      for (let cell = 0; cell < cells.length; cell++) {
        if (cells[cell] !== code) continue;
        const left = (cell % this.columns) * side, top = Math.floor(cell / this.columns) * side;
        for (const [x, y, width, height] of shapes[code]) pen.rect(left + x, top + y, width, height);
      }
      pen.fill();
    }
  }
  /** @param {CanvasRenderingContext2D} pen @param {Store["codes"]} cells @param {string[]} colours */
  drawPixels(pen, cells, colours) {
    this.size(this.columns, this.rows, this.columns * this.side, this.rows * this.side);
    const image = pen.createImageData(this.columns, this.rows);
    const pixels = new Uint32Array(image.data.buffer);
    const words = colours.map((colour) => this.word(colour));
    for (let cell = 0; cell < cells.length; cell++) pixels[cell] = words[cells[cell]];
    // A failure of one or two pixels would be overlooked among thousands: it takes three neighbours along.
    const failure = this.tables.failure;
    if (this.side < 3) for (let cell = cells.indexOf(failure); cell >= 0; cell = cells.indexOf(failure, cell + 1)) {
      for (const near of [cell + 1, cell + this.columns, cell + this.columns + 1]) if (near < cells.length) pixels[near] = words[failure];
    }
    pen.putImageData(image, 0, 0);
  }
  /**
   * The bytes of a pixel.
   * @param {string} colour as rgba(red, green, blue, alpha)
   */
  word(colour) {
    const [red, green, blue, alpha] = (colour.match(/[\d.]+/g) ?? []).map(Number);
    return ((Math.round(alpha * 255) << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  }
  /** @param {MouseEvent} event */
  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left) / this.side), row = Math.floor((event.clientY - box.top) / this.side);
    return column >= this.columns ? null : row * this.columns + column;
  }
  /**
   * The cell that a click on this one meant.
   * @param {number} cell
   */
  meant(cell) {
    if (this.side >= HARD_TO_HIT || this.cells[cell] === this.tables.failure) return cell;
    const reach = Math.ceil(MISSED_BY / this.side), row = Math.floor(cell / this.columns), column = cell % this.columns;
    let nearest = cell, far = Infinity;
    for (let down = -reach; down <= reach; down++) for (let right = -reach; right <= reach; right++) {
      const other = (row + down) * this.columns + column + right, distance = down * down + right * right;
      const inside = column + right >= 0 && column + right < this.columns && other >= 0 && other * this.step < this.codes.length;
      if (inside && distance < far && this.cells[other] === this.tables.failure) { nearest = other; far = distance; }
    }
    return nearest;
  }
  /**
   * Of a cell that stands for several calls, the one that it has its colour from.
   * @param {number} cell @param {boolean} byKey
   */
  open(cell, byKey) {
    const first = cell * this.step;
    if (first >= this.codes.length) return;
    const place = this.codes.subarray(first, first + this.step).indexOf(this.cells[cell]);
    this.onOpen(first + Math.max(0, place), byKey);
  }
  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.open(this.chosen ?? 0, true);
      return;
    }
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
    this.byKey = true;
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

/**
 * Of each cell the code that matters most among those of its calls. There may be a million.
 * @param {Store["codes"]} codes @param {number} step calls of a cell @param {number[]} loudest codes, what matters most first
 */
function loudestOf(codes, step, loudest) {
  const cells = new Uint8Array(Math.ceil(codes.length / step)), rank = new Uint8Array(256).fill(loudest.length - 1);
  loudest.forEach((code, place) => { rank[code] = place; });
  for (let cell = 0, call = 0; cell < cells.length; cell++) {
    let first = loudest.length - 1;
    for (const end = Math.min(call + step, codes.length); call < end; call++) first = Math.min(first, rank[codes[call]]);
    cells[cell] = loudest[first];
  }
  return cells;
}
