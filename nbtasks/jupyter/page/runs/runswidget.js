// @ts-check
// The list of runs as a widget.

export default widgetOf((model) => new RunsStore(model), (store, el) => new RunsView(store, el));
