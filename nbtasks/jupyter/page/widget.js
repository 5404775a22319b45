// @ts-check
// What anywidget calls.

// The factory form: `initialize` and `render` get different model objects, so what they share must be made here.
export default () => {
  /** @type {Store} */
  let store;
  return {
    /** @param {{model: Model}} props */
    initialize({ model }) {
      store = new Store(model);
      return () => store.close();
    },
    /** @param {{el: HTMLElement}} props */
    render({ el }) {
      const card = new CardView(store, el);
      return () => card.close();
    },
  };
};
