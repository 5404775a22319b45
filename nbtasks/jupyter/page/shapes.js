// @ts-check
// What part of a square or a bar is filled, by state: core/stencils.py says it.

/**
 * What is filled, as rectangles: x, y, width, height.
 * @param {number[]} stencil of each row the filled pixels of a square
 * @param {number} [width] of a bar that it is drawn out to: its edges once, its inside again and again; if narrow, its middle
 */
function filled(stencil, width = stencil.length) {
  const side = stencil.length;
  /** @param {number} x */
  const place = (x) => {
    if (width < side) return ((side - width) >> 1) + x;
    if (x === 0) return 0;
    return x === width - 1 ? side - 1 : 1 + ((x - 1) % (side - 2));
  };
  /** @type {[number, number, number, number][]} */
  const found = [];
  for (let y = 0, height = 1; y < side; y += height, height = 1) {
    while (stencil[y + height] === stencil[y]) height++;
    for (let x = 0, run = 0; x < width; x += run || 1, run = 0) {
      while (x + run < width && (stencil[y] >> place(x + run)) & 1) run++;
      if (run) found.push([x, y, run, height]);
    }
  }
  return found;
}

const SWATCH = 8;
/**
 * A square as a picture, for what stands beside a number of calls.
 * @param {Tables} tables @param {string} state
 */
function swatch(tables, state) {
  const canvas = make("canvas"), pen = canvas.getContext("2d"), code = tables.states.findIndex(({ name }) => name === state);
  canvas.width = canvas.height = SWATCH;
  const image = make("img");
  image.alt = "";
  if (!pen || code < 0) return image;
  pen.fillStyle = tables.states[code].colour;
  for (const [x, y, width, height] of filled(tables.stencils[SWATCH][code])) pen.fillRect(x, y, width, height);
  image.src = canvas.toDataURL();
  return image;
}
