// @ts-check
// One view of a card. All text of tasks goes through textContent: it may hold anything. What the saved form says as well
// (words, numbers, order, colours) comes from the kernel as it is to be shown: card/said.py and card/looks.py.

const ANNOUNCE_EVERY_MS = 10000;

class CardView {
  /** @param {Store} store @param {HTMLElement} el */
  constructor(store, el) {
    this.store = store;
    /** @type {number | null} */
    this.drawing = null;
    el.classList.add("nbt-host");
    this.root = make("div", "nbt-card", el);
    this.root.dataset.lmSuppressShortcuts = "true";
    this.root.setAttribute("role", "group");
    this.root.addEventListener("keydown", (event) => this.key(event));
    const head = make("div", "nbt-head", this.root);
    const title = make("span", "nbt-title", head);
    make("span", "nbt-dot", title);
    this.title = make("bdi", "", title);
    this.state = make("span", "nbt-state", head);
    this.meta = make("span", "nbt-meta", head);
    // Beside what gives way, so that the time stands where it does in the saved card.
    this.details = makeButton("nbt-button nbt-details", head, "Details", () => this.toggleDetails());
    this.tell = makeButton("nbt-button nbt-tell", head, "Tell me when it ends", () => { store.notice.toggle(); });
    this.time = make("span", "nbt-time", head);
    this.cancel = makeButton("nbt-button nbt-cancel", head, "Cancel", () => store.ask("cancel"));
    this.bar = make("div", "nbt-bar", this.root);
    this.bar.setAttribute("role", "progressbar");
    this.barParts = "";
    this.counts = make("div", "nbt-counts", this.root);
    /** @type {Map<string, HTMLElement>} */
    this.counters = new Map();
    this.pace = make("span", "nbt-pace");
    this.spark = new Sparkline(store);
    this.reason = make("div", "nbt-reason", this.root);
    this.graph = new StepGraph(this.root, store.tables, (index, byKey) => this.drawer.open(index, byKey));
    this.squares = make("div", "nbt-squares", this.root);
    this.mosaic = new Mosaic(
      this.squares, store.tables, (index, step) => this.detail(index, step), (index, byKey) => this.drawer.open(index, byKey),
    );
    this.tiles = new Tiles(
      this.squares, store.tables, (index, step) => this.detail(index, step), (index, byKey) => this.drawer.open(index, byKey),
    );
    this.timeline = new TimelineView(this.root, store, (index, byKey) => this.drawer.open(index, byKey));
    this.tabs = new Tabs(
      [["Squares", this.squares], ["Timeline", this.timeline.box]], `nbt-${store.model.get("card")}-${store.views.size}`,
      (place) => { this.timeline.toggle(place === 1); this.show(); },
    );
    this.drawer = new Drawer(this.root, store, () => this.focusChart());
    this.running = new RunningRows(this.root, store);
    this.bars = new BarRows(this.root);
    this.failures = new FailureList(this.root, store);
    this.output = new OutputLines(this.root, store);
    this.newest = new ResultStrip(this.root, store, (index, byKey) => this.drawer.open(index, byKey));
    this.preview = new ResultPreview(this.root, store);
    this.foot = make("div", "nbt-foot", this.root);
    this.hint = make("span", "", this.foot);
    this.retry = makeButton("nbt-button nbt-retry", this.foot, "Retry failed", () => store.ask("retry"));
    this.note = make("div", "nbt-note", this.root);
    this.voice = make("div", "nbt-unseen", this.root);
    this.voice.setAttribute("aria-live", "polite");
    this.spoken = 0;
    /** @type {number | null} */
    this.pointed = null; // the call of the mosaic's cell that is pointed at
    this.resize = new ResizeObserver(() => { this.draw(); this.timeline.draw(); });
    this.resize.observe(el);
    this.timer = setInterval(() => this.tick(), 250);
    store.views.add(this);
    this.show();
  }
  /** A single call has no square: a button opens it. */
  toggleDetails() {
    if (this.drawer.isOpen) { this.drawer.close(); return; }
    this.drawer.open(0, true);
    this.details.setAttribute("aria-expanded", "true");
  }
  /** Go on where the calls are shown: in the squares, or the timeline. */
  focusChart() {
    if (this.store.view && !this.store.view.many) {
      this.details.focus({ preventScroll: true });
      this.details.setAttribute("aria-expanded", "false");
    } else if (this.store.view?.in_graph && !this.timeline.isOpen) this.graph.focus();
    else if (this.timeline.isOpen) this.timeline.canvas.focus({ preventScroll: true });
    else if (this.store.view?.letters.length) this.tiles.focus();
    else this.mosaic.canvas.focus({ preventScroll: true });
  }
  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.key !== "Escape" || !this.drawer.isOpen) return;
    event.preventDefault();
    event.stopPropagation();
    this.drawer.close();
  }
  close() {
    this.store.views.delete(this);
    this.resize.disconnect();
    clearInterval(this.timer);
    this.drawer.forget();
    this.timeline.forget();
    this.output.close();
  }

  show() {
    const view = this.store.view;
    if (!view) return;
    this.root.dataset.state = view.state;
    this.root.dataset.dot = view.dot;
    this.root.dataset.done = String(view.done);
    this.root.setAttribute("aria-label", `Task ${view.title}: ${view.shown_state}`);
    setText(this.title, view.title);
    setText(this.meta, view.about);
    setText(this.state, view.shown_state);
    this.drawButtons(view);
    this.drawBar(view);
    this.drawCounts(view);
    this.reason.hidden = !view.reason;
    setText(this.reason, view.reason ?? "");
    this.running.draw(view);
    this.bars.draw(view);
    this.failures.draw(view);
    this.output.draw();
    this.drawer.refresh();
    this.newest.draw(view);
    this.preview.draw();
    this.graph.draw(view.graph);
    this.squares.hidden = !view.many || view.in_graph || this.timeline.isOpen;
    this.mosaic.canvas.hidden = view.letters.length > 0 || !this.store.codes.length;
    this.tiles.box.hidden = !view.letters.length;
    this.tiles.box.setAttribute("aria-label", `Calls: ${view.sentence}`);
    this.tiles.draw(view.letters, this.store);
    this.timeline.refresh();
    this.tick();
    this.draw();
    this.speak(view);
  }
  /** @param {View} view */
  drawButtons(view) {
    const { asked } = this.store;
    const pressed = asked?.command === "cancel";
    const lost = this.store.pulse.lost(view);
    this.root.dataset.lost = String(lost);
    if (lost && !view.done) setText(this.state, "not followed");
    this.details.hidden = view.many || lost;
    this.details.setAttribute("aria-expanded", String(this.drawer.isOpen));
    this.cancel.hidden = view.done || lost;
    this.cancel.disabled = pressed || view.stopping;
    setText(this.cancel, pressed || view.stopping ? "Stopping…" : "Cancel");
    this.retry.hidden = !view.retry || lost;
    this.retry.disabled = !!asked;
    setText(this.retry, view.retry || "Retry");
    setText(this.hint, view.hint);
    this.foot.hidden = this.retry.hidden && !view.hint;
    this.drawNote(view);
  }
  /** @param {View} view */
  drawTell(view) {
    const { notice } = this.store, wanted = notice.isWanted;
    this.tell.hidden = !notice.isOffered(view);
    this.tell.setAttribute("aria-pressed", String(wanted));
    setText(this.tell, wanted ? "✓ Tells you when it ends" : "Tell me when it ends");
  }
  /** @param {View} view */
  drawNote(view) {
    const { asked, problem } = this.store;
    const silent = asked && Date.now() - asked.at > ACK_WITHIN_MS;
    const busy = "The kernel is busy with a cell: it answers when the cell ends, or press ■ to stop that.";
    setText(this.note, this.store.pulse.says(view) || (silent ? busy : problem));
    this.note.hidden = !this.note.textContent;
  }
  /** @param {View} view */
  drawBar({ bar, sentence, title }) {
    // Parts keep their elements as long as they are the same ones, so that their widths change smoothly.
    const parts = bar.slides ? "slides" : bar.parts.map(([state]) => state).join();
    if (parts !== this.barParts) {
      this.barParts = parts;
      if (bar.slides) this.bar.replaceChildren(make("i", "nbt-indeterminate"));
      else this.bar.replaceChildren(...bar.parts.map(([state]) => {
        const part = make("i", bar.busy.includes(state) ? "nbt-busy" : "");
        part.style.backgroundColor = colourOf(state);
        return part;
      }));
    }
    const nodes = this.bar.querySelectorAll("i");
    bar.parts.forEach(([, share], place) => { nodes[place].style.width = `${100 * share}%`; });
    this.bar.setAttribute("aria-valuemin", "0");
    this.bar.setAttribute("aria-valuemax", String(bar.most));
    if (bar.slides) this.bar.removeAttribute("aria-valuenow"); else this.bar.setAttribute("aria-valuenow", String(bar.value));
    this.bar.setAttribute("aria-valuetext", sentence);
    this.bar.setAttribute("aria-label", `Progress of ${title}`);
  }
  /** @param {View} view */
  drawCounts(view) {
    this.counts.hidden = !view.many;
    const nodes = view.counts.map(({ state, number, word }) => {
      let node = this.counters.get(word);
      if (!node) {
        this.counters.set(word, node = make("span", "nbt-count"));
        node.append(swatch(this.store.tables, state));
        make("b", "", node);
        node.append(` ${word}`);
      }
      setText(node.children[1], number);
      return node;
    });
    this.spark.draw();
    // At the end, what is said of the pace has a line of its own.
    const pace = view.done ? [this.spark.image, this.pace] : [this.pace, this.spark.image];
    arrange(this.counts, [...nodes, ...pace, this.tabs.box]);
    this.pace.classList.toggle("nbt-end", view.done);
    if (this.pointed === null) setText(this.pace, view.pace);
  }
  draw() {
    if (!this.store.view?.many || this.drawing !== null) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = null;
      const width = this.root.clientWidth - 28;
      if (width <= 0 || !this.store.codes.length) return;
      this.store.tellWidth(width);
      if (!this.mosaic.canvas.hidden && !this.squares.hidden) this.mosaic.draw(this.store.codes, width);
      this.mosaic.canvas.setAttribute("aria-label", this.store.view?.sentence ?? "");
    });
  }
  // While a cell of the mosaic is pointed at, its call takes the place of the pace.
  /** @param {number | null} index @param {number} step */
  detail(index, step) {
    this.pointed = index;
    if (index === null) { setText(this.pace, this.store.view?.pace ?? ""); return; }
    setText(this.pace, step > 1 ? `calls ${thousands(index)} to ${thousands(index + step - 1)}` : this.call(index));
    if (step === 1) this.store.askName(index);
    if (this.mosaic.byKey && (step > 1 || this.store.names.has(index))) setText(this.voice, this.pace.textContent ?? "");
  }
  /** The kernel has told what a call is called. @param {number} index */
  named(index) {
    this.timeline.named(index);
    if (this.store.view) this.tiles.draw(this.store.view.letters, this.store);
    if (index !== this.pointed) return;
    setText(this.pace, this.call(index));
    if (this.mosaic.byKey) setText(this.voice, this.pace.textContent ?? "");
  }
  /** @param {number} index */
  call(index) { return `${this.store.nameOf(index)} ${this.word(index)}`; }
  /** @param {number} index */
  word(index) { return this.store.tables.states[this.store.codes[index]].word; }
  tick() {
    const { view, tables } = this.store;
    if (!view) return;
    const now = this.store.now();
    this.drawTell(view);
    if (String(this.store.pulse.lost(view)) !== this.root.dataset.lost) { this.store.titleTab(); this.show(); return; }
    if (this.store.pulse.says(view)) this.drawNote(view);
    setText(this.time, view.took || clock(Math.max(0, now - view.created_at), tables.spans));
    this.running.tick(now);
  }
  /** @param {View} view */
  speak(view) {
    const now = Date.now();
    if (!view.done && now - this.spoken < ANNOUNCE_EVERY_MS) return;
    this.spoken = now;
    setText(this.voice, view.sentence);
  }
}
