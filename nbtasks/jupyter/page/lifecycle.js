// @ts-check
// What anywidget calls of a card or a panel.

/**
 * The factory form: `initialize` and `render` get different model objects, so what they share must be made here.
 * @template {{close(): void}} Store
 * @param {(model: Model) => Store} makeStore of all views
 * @param {(store: Store, el: HTMLElement) => {close(): void}} makeView
 */
function widgetOf(makeStore, makeView) {
  return () => {
    /** @type {Store} */
    let store;
    return {
      /** @param {{model: Model}} props */
      initialize({ model }) {
        store = makeStore(model);
        return () => store.close();
      },
      /** @param {{el: HTMLElement}} props */
      render({ el }) {
        const view = makeView(store, el);
        return () => view.close();
      },
    };
  };
}
