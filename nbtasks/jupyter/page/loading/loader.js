// @ts-check
// The module that Jupyter gets with every widget. Scripts and style themselves come packed, and a page takes them once for all
// its widgets.

const KNOWN = Symbol.for("nbtasks.modules");

/**
 * @typedef {{initialize(props: object): () => void, render(props: object): () => void}} Widget
 * @typedef {{default: () => Widget, style: string}} Module
 */

/** @param {DataView} packed @returns {Promise<Module>} */
async function unpack(packed) {
  const stream = new Blob([/** @type {DataView<ArrayBuffer>} */ (packed)]).stream().pipeThrough(new DecompressionStream("deflate"));
  const url = URL.createObjectURL(new Blob([await new Response(stream).text()], { type: "text/javascript" }));
  try {
    return await import(/* webpackIgnore: true */ url);
  } finally {
    URL.revokeObjectURL(url);
  }
}
/** @param {{get(name: string): any}} model @returns {Promise<Module>} */
function moduleOf(model) {
  /** @type {Map<string, Promise<Module>>} */
  const known = /** @type {any} */ (globalThis)[KNOWN] ??= new Map();
  const version = model.get("version"), module = known.get(version) ?? unpack(model.get("packed"));
  known.set(version, module);
  module.catch(() => known.delete(version));
  return module;
}
/** @param {string} style @param {string} version @param {Element} el */
function dress(style, version, el) {
  // marimo shows each widget in a tree of its own, into which no style of the page reaches.
  const root = el.getRootNode(), place = root instanceof ShadowRoot ? root : document.head;
  if (place.querySelector(`style[data-nbtasks="${version}"]`)) return;
  const sheet = document.createElement("style");
  sheet.dataset.nbtasks = version;
  sheet.textContent = style;
  place.append(sheet);
}

export default () => {
  /** @type {Module} */
  let module;
  /** @type {Widget} */
  let widget;
  return {
    /** @param {{model: {get(name: string): any}}} props */
    async initialize(props) {
      module = await moduleOf(props.model);
      widget = module.default();
      return widget.initialize(props);
    },
    /** @param {{model: {get(name: string): any}, el: Element}} props */
    render(props) {
      dress(module.style, props.model.get("version"), props.el);
      return widget.render(props);
    },
  };
};
