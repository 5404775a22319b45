// @ts-check
// The dashboard in a cell of a notebook: the kernel is its home. Each view looks at its own page, so each has a name.

const LOOK_AGAIN_MS = 10000, SILENT_FOR_MS = 8000, ACT_WITHIN_MS = 30000;

class KernelStore {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    /** @type {Map<string, KernelTransport>} */
    this.views = new Map();
    this.line = new KernelLine(model, this);
    this.pulse = new Pulse(model, () => this.end());
    this.line.greet();
    this.timer = setInterval(() => this.look(), LOOK_AGAIN_MS / 5);
  }
  close() {
    clearInterval(this.timer);
    for (const view of this.views.values()) view.close();
    this.line.close();
    this.pulse.close();
  }
  end() { for (const view of this.views.values()) view.state("ended", "The kernel has ended or was restarted: run the cell again."); }
  /** @param {any} message */
  receive(message) {
    this.views.get(message.viewer)?.receive(message);
  }
  retired() { this.end(); }
  gone() { this.pulse.end(); }
  look() {
    const silent = Date.now() - this.pulse.heardAt > SILENT_FOR_MS;
    for (const view of this.views.values()) view.look(silent && !this.pulse.ended);
  }
  /** @param {object} content */
  send(content) { return this.line.send(content); }
}

/** @implements {Transport} */
class KernelTransport {
  /** @param {KernelStore} store */
  constructor(store) {
    this.store = store;
    this.viewer = Math.random().toString(36).slice(2);
    this.readonly = !!store.model.get("readonly");
    this.title = store.model.get("title");
    this.about = store.model.get("about");
    /** @type {{page: string | null, filters: Filters, call: string | null}} */
    this.asked = { page: null, filters: {}, call: null };
    this.askedAt = 0;
    this.number = 0;
    /** @type {Map<number, (answer: Answer) => void>} */
    this.waiting = new Map();
    /** @type {(page: string, data: any) => void} */
    this.show = () => {};
    /** @type {(state: HomeState, text?: string) => void} */
    this.state = () => {};
    store.views.set(this.viewer, this);
  }
  close() {
    if (!this.store.views.delete(this.viewer)) return;
    if (!this.store.pulse.ended) this.store.send({ t: "ask", viewer: this.viewer, page: null, filters: {}, call: null });
  }
  /** @param {(page: string, data: any) => void} callback */
  onPage(callback) {
    this.show = callback;
    // What the kernel knew when the widget was made is there before it has answered.
    const first = this.store.model.get("first");
    if (first?.page) setTimeout(() => callback(first.page, first.data));
  }
  /** @param {(state: HomeState, text?: string) => void} callback */
  onState(callback) { this.state = callback; }
  /** @param {string | null} page @param {Filters | null} [filters] */
  ask(page, filters) {
    const before = JSON.stringify(this.asked);
    if (page === "call") this.asked.call = filters?.id ?? null;
    else this.asked = { ...this.asked, page, filters: filters ?? {} };
    if (JSON.stringify(this.asked) !== before) this.send();
  }
  send() {
    if (this.store.pulse.ended) return;
    this.askedAt = Date.now();
    this.store.send({ t: "ask", viewer: this.viewer, ...this.asked });
  }
  /** Say again that it is looked at. @param {boolean} silent */
  look(silent) {
    if (this.store.pulse.ended) return;
    const looked = this.asked.page !== null;
    if (looked && Date.now() - this.askedAt >= (silent ? LOOK_AGAIN_MS / 5 : LOOK_AGAIN_MS)) this.send();
    if (silent && looked) this.state("lost", "The kernel has not been heard from for a while. It goes on as soon as it answers.");
  }
  /** @param {any} message */
  receive(message) {
    if (message.k === "page") this.show(message.page, message.data);
    if (message.k === "answer") { this.waiting.get(message.number)?.(message.answer); this.waiting.delete(message.number); }
    if (!this.store.pulse.ended) this.state("live");
  }
  /** @param {string} action @param {object} body @returns {Promise<Answer>} */
  act(action, body) {
    const number = ++this.number;
    if (this.store.pulse.ended || !this.store.send({ t: "do", viewer: this.viewer, number, action, body })) {
      return Promise.resolve({ ok: false, said: "the kernel has ended or was restarted: run the cell again" });
    }
    return new Promise((resolve) => {
      this.waiting.set(number, resolve);
      setTimeout(() => resolve({ ok: false, said: "the kernel has not answered: it may be busy with a cell" }), ACT_WITHIN_MS);
    });
  }
}

class NotebookView {
  /** @param {KernelStore} store @param {HTMLElement} el */
  constructor(store, el) {
    el.classList.add("nbt-host");
    this.home = new Home(el, new KernelTransport(store), { kind: "notebook" });
    if (store.pulse.ended) store.end();
  }
  close() { this.home.close(); }
}
