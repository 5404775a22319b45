// @ts-check
// The panel as a widget.

export default widgetOf((model) => new PanelStore(model), (store, el) => new PanelView(store, el));
