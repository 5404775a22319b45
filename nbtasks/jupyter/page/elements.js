// @ts-check
// Elements of the page, and what is shown in them.

// JupyterLab looks for this attribute from the element with the focus outwards, and its shortcuts match that element
// first: `d d` on a button would delete the cell. So what can have the focus carries it itself.
const FOCUSABLE = new Set(["button", "canvas", "summary", "section"]);

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
/**
 * @param {string} name
 * @param {Element | undefined} parent
 * @param {string} text
 * @param {(() => void) | null} action
 * @param {string} [label] where the text alone does not say what it does
 */
const makeButton = (name, parent, text, action, label) => {
  const button = make("button", name, parent);
  button.type = "button";
  button.textContent = text;
  if (label) button.setAttribute("aria-label", label);
  if (label) button.title = label;
  if (action) button.addEventListener("click", action);
  return button;
};
/** @param {Node} node @param {string} text */
const setText = (node, text) => { if (node.textContent !== text) node.textContent = text; };
/**
 * Let a text become a longer one, so that what is selected in it stays.
 * @param {Node} node @param {string} text
 */
const growText = (node, text) => {
  const before = node.textContent ?? "";
  if (text === before) return;
  if (before && text.startsWith(before)) node.appendChild(document.createTextNode(text.slice(before.length)));
  else node.textContent = text;
};
/**
 * Let a parent have these children. Those that stand where they belong are not touched, for a text may be selected there.
 * @param {Element} parent @param {Element[]} nodes
 */
function arrange(parent, nodes) {
  for (const node of [...parent.children]) if (!nodes.includes(node)) node.remove();
  nodes.forEach((node, place) => {
    if (parent.children[place] !== node) parent.insertBefore(node, parent.children[place] ?? null);
  });
}
/**
 * Show a text with its colours.
 * @param {HTMLElement} node @param {string} text @param {[length: number, css: string][]} paint
 */
function paintText(node, text, paint) {
  let at = 0;
  node.replaceChildren(...paint.map(([length, css]) => {
    const part = make("span");
    part.style.cssText = css;
    part.textContent = text.slice(at, at += length);
    return part;
  }), text.slice(at));
}
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
