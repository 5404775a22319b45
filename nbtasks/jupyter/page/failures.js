// @ts-check
// What failed, in groups of the same error. Elements stay while they say the same: the reader may have unfolded some, or
// selected a text in them.

class FailureList {
  /** @param {Element} parent @param {Store} store */
  constructor(parent, store) {
    this.store = store;
    /** @type {FailureGroup[]} */
    this.groups = [];
    this.box = make("div", "nbt-failures", parent);
    this.list = make("div", "", this.box);
    this.more = make("div", "nbt-note", this.box);
  }
  /** @param {View} view */
  draw(view) {
    const failures = this.store.failures;
    this.box.hidden = !failures.length;
    const known = new Map(this.groups.map((group) => [group.key, group]));
    const groups = failures.map((failure) => {
      const key = `${failure.type} ${failure.message} ${failure.details}`;
      const group = known.get(key) ?? new FailureGroup(key, failure);
      group.show(failure);
      return group;
    });
    arrange(this.list, groups.map(({ box }) => box));
    this.groups = groups;
    this.more.hidden = !view.more_failures;
    setText(this.more, view.more_failures);
  }
}

class FailureGroup {
  /** @param {string} key @param {Failure} failure */
  constructor(key, failure) {
    this.key = key;
    this.box = make("details", "nbt-failure");
    this.box.open = failure.open;
    const summary = make("summary", "", this.box);
    this.times = make("span", "nbt-times", summary);
    const error = make("bdi", "nbt-error", summary);
    make("b", "", error).textContent = failure.type;
    error.append(failure.message ? `: ${failure.message}` : "");
    this.which = make("bdi", "nbt-which", summary);
    make("pre", "nbt-traceback", this.box).textContent = failure.details;
  }
  /** @param {Failure} failure */
  show(failure) {
    setText(this.times, failure.times);
    this.times.hidden = !failure.times;
    setText(this.which, failure.which);
    this.which.hidden = !failure.which;
  }
}
