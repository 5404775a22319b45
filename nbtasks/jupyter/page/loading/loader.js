// @ts-check
// The module that Jupyter gets with every widget. The scripts themselves come packed, and a page runs them once for all its
// widgets.

const KNOWN = Symbol.for("nbtasks.scripts");

/**
 * @typedef {{initialize(props: object): () => void, render(props: object): () => void}} Widget
 * @typedef {() => Widget} MakeWidget
 */

/** @param {DataView} packed @returns {Promise<MakeWidget>} */
async function unpack(packed) {
  const stream = new Blob([/** @type {DataView<ArrayBuffer>} */ (packed)]).stream().pipeThrough(new DecompressionStream("deflate"));
  const url = URL.createObjectURL(new Blob([await new Response(stream).text()], { type: "text/javascript" }));
  try {
    return (await import(/* webpackIgnore: true */ url)).default;
  } finally {
    URL.revokeObjectURL(url);
  }
}
/** @param {{get(name: string): any}} model @returns {Promise<MakeWidget>} */
function scriptsOf(model) {
  /** @type {Map<string, Promise<MakeWidget>>} */
  const known = /** @type {any} */ (globalThis)[KNOWN] ??= new Map();
  const version = model.get("version"), scripts = known.get(version) ?? unpack(model.get("scripts"));
  known.set(version, scripts);
  scripts.catch(() => known.delete(version));
  return scripts;
}

export default () => {
  /** @type {Widget} */
  let widget;
  return {
    /** @param {{model: {get(name: string): any}}} props */
    async initialize(props) {
      widget = (await scriptsOf(props.model))();
      return widget.initialize(props);
    },
    /** @param {object} props */
    render(props) { return widget.render(props); },
  };
};
