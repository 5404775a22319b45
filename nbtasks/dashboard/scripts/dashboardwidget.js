// @ts-check
// The dashboard as a widget, and as a page of its own.

export default widgetOf((model) => new KernelStore(model), (store, el) => new NotebookView(store, el));
export const start = showAlone;
/** @param {string} base */
export const webTransport = (base) => new ServerTransport(base);
