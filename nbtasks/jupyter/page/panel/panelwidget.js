// @ts-check
// What anywidget calls; as for the card.

export default () => {
  /** @type {PanelStore} */
  let store;
  return {
    /** @param {{model: Model}} props */
    initialize({ model }) {
      store = new PanelStore(model);
      return () => store.close();
    },
    /** @param {{el: HTMLElement}} props */
    render({ el }) {
      const view = new PanelView(store, el);
      return () => view.close();
    },
  };
};
