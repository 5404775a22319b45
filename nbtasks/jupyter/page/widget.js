// @ts-check
// The card as a widget.

export default widgetOf((model) => new Store(model), (store, el) => new CardView(store, el));
