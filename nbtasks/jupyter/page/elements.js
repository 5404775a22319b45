// @ts-check
// Elements of the page, and what is shown in them.

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
