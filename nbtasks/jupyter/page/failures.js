// @ts-check
// What failed, in groups of the same error.

class FailureList {
  /** @param {Element} parent @param {Store} store */
  constructor(parent, store) {
    this.store = store;
    this.drawn = ""; // what stands there, so that it is only changed when it changes: the reader may have unfolded some
    this.box = make("div", "nbt-failures", parent);
  }
  /** @param {View} view */
  draw(view) {
    const failures = this.store.failures;
    this.box.hidden = !failures.length;
    const key = JSON.stringify([failures, view.more_failures]);
    if (key === this.drawn) return;
    this.drawn = key;
    const open = new Set([...this.box.querySelectorAll("details")].filter((node) => node.open).map((node) => node.dataset.key));
    const groups = failures.map((failure, place) => this.failure(failure, open, `${failure.type} ${place}`));
    this.box.replaceChildren(...groups);
    if (view.more_failures) make("div", "nbt-note", this.box).textContent = view.more_failures;
  }
  /** @param {Failure} failure @param {Set<string | undefined>} open @param {string} key */
  failure(failure, open, key) {
    const node = make("details", "nbt-failure");
    node.dataset.key = key;
    node.open = open.has(key);
    const summary = make("summary", "", node);
    if (failure.times) make("span", "nbt-times", summary).textContent = failure.times;
    const error = make("span", "nbt-error", summary);
    make("b", "", error).textContent = failure.type;
    error.append(failure.message ? `: ${failure.message}` : "");
    if (failure.which) make("span", "nbt-which", summary).textContent = failure.which;
    make("pre", "nbt-traceback", node).textContent = failure.details;
    return node;
  }
}
