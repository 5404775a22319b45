// @ts-check
// The dashboard itself: tabs, the page on show, the drawer of a call, what is asked of the home and when.

const TICK_EVERY_MS = 500;
/** @type {[name: string, make: (panel: HTMLElement, home: Home) => DashboardPage][]} */
const PAGES = [
  ["Overview", (panel, home) => new OverviewPage(panel, home)],
  ["Workers", (panel, home) => new WorkersPage(panel, home)],
  ["Tasks", (panel, home) => new TasksPage(panel, home)],
  ["Timeline", (panel, home) => new TimelinePage(panel, home)],
  ["Schedules", (panel, home) => new SchedulesPage(panel, home)],
  ["Locks", (panel, home) => new LocksPage(panel, home)],
  ["Broker", (panel, home) => new BrokerPage(panel, home)],
];
let homes = 0;

/** @typedef {{show(data: any): void, tick?(): void, asks?: Filters, place?: Filters, enter?(filters: Filters): void, opened?(id: string): void, linkTo?(id: string): HTMLElement}} DashboardPage */

class Home {
  /** @param {HTMLElement} el @param {Transport} transport @param {{kind: "notebook" | "page"}} how */
  constructor(el, transport, { kind }) {
    this.transport = transport;
    this.kind = kind;
    this.readonly = transport.readonly;
    this.now = Date.now() / 1000;
    this.heardAt = performance.now();
    this.lost = false;
    this.seen = kind === "page";
    /** @type {string | null} */
    this.opened = null;
    /** @type {Map<string, DashboardPage>} */
    this.pages = new Map();
    /** Something else is on show. */
    this.onTurn = () => {};
    const root = this.root = make("div", "nbt-card nbt-dash", el);
    root.dataset.home = kind;
    root.dataset.lmSuppressShortcuts = "true";
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", "nbtasks dashboard");
    const head = make("div", "nbt-dash-head", root);
    this.dot = make("span", "nbt-dot", head);
    this.title = make(kind === "page" ? "h1" : "b", "nbt-dash-title", head);
    const { title = "", about = "" } = transport;
    setText(this.title, title === "nbtasks" ? title : `nbtasks ${title}`.trim());
    this.title.title = about;
    this.panels = PAGES.map(([name]) => {
      const panel = make("div", "nbt-page-of");
      panel.dataset.page = name.toLowerCase();
      return panel;
    });
    this.tabs = new Tabs(PAGES.map(([name], place) => [name, this.panels[place]]), `nbt-dash-${++homes}`, () => this.turn());
    this.tabs.box.setAttribute("aria-label", "Pages of the dashboard");
    this.tabs.box.classList.add("nbt-dash-tabs");
    head.append(this.tabs.box);
    if (this.readonly) make("span", "nbt-badge", head).textContent = "read only";
    this.strip = make("div", "nbt-strip", root);
    this.strip.setAttribute("role", "status");
    this.problem = make("div", "nbt-strip nbt-problem", root);
    this.problem.setAttribute("role", "status");
    const split = make("div", "nbt-split", root);
    this.body = make("div", "nbt-body", split);
    this.wait = make("p", "nbt-empty", this.body);
    this.body.append(...this.panels);
    this.drawer = new CallDrawer(split, this);
    root.addEventListener("keydown", (event) => this.key(event));
    transport.onPage((page, data) => this.take(page, data));
    transport.onState?.((state, text) => this.tell(state, text ?? ""));
    this.onSight = () => this.ask();
    document.addEventListener("visibilitychange", this.onSight);
    /** @type {IntersectionObserver | null} */
    this.sight = null;
    if (kind === "notebook") {
      this.sight = new IntersectionObserver((entries) => {
        const seen = entries[entries.length - 1].isIntersecting;
        if (seen === this.seen) return;
        this.seen = seen;
        this.ask();
      });
      this.sight.observe(root);
    }
    this.timer = setInterval(() => this.tick(), TICK_EVERY_MS);
    this.tell("live", "");
    this.turn();
  }
  close() {
    clearInterval(this.timer);
    this.sight?.disconnect();
    document.removeEventListener("visibilitychange", this.onSight);
    this.transport.close?.();
  }
  get page() { return this.panels[this.tabs.chosen].dataset.page ?? ""; }
  /** The machine's time, which goes on between two looks. */
  clock() { return this.now + (this.lost ? 0 : (performance.now() - this.heardAt) / 1000); }
  /** Another page is on show. */
  turn() {
    this.panels.forEach((panel, place) => { panel.hidden = place !== this.tabs.chosen; });
    const known = this.pages.has(this.page);
    this.wait.hidden = known;
    setText(this.wait, known ? "" : "Asking…");
    setText(this.problem, "");
    this.body.scrollTop = 0;
    // Only the row of tabs moves: scrollIntoView would move the notebook, too.
    const tab = this.tabs.tabs[this.tabs.chosen], row = this.tabs.box;
    row.scrollLeft = Math.min(Math.max(row.scrollLeft, tab.offsetLeft + tab.offsetWidth - row.offsetLeft - row.clientWidth), tab.offsetLeft - row.offsetLeft);
    this.ask();
  }
  /** What is on show, as it stands in an address: the page, its filters, the call that is open. */
  get place() {
    const kept = Object.entries({ ...this.pages.get(this.page)?.place, call: this.opened ?? "" }).filter(([, value]) => value);
    return `#${this.page}${kept.length ? `?${new URLSearchParams(kept)}` : ""}`;
  }
  /** Show what an address says. @param {string} place */
  enter(place) {
    const [name, rest = ""] = place.replace(/^#/, "").split("?", 2), { call = "", ...filters } = Object.fromEntries(new URLSearchParams(rest));
    const at = Math.max(0, this.panels.findIndex((panel) => panel.dataset.page === name));
    if (this.pages.has(name) || Object.keys(filters).length) this.made(at).enter?.(filters);
    if (at === this.tabs.chosen) this.ask(); else this.tabs.choose(at);
    if (call && call !== this.opened) this.open(call, null);
    if (!call) this.drawer.close();
  }
  /** @param {string} name @param {Filters} [filters] */
  go(name, filters) {
    const place = this.panels.findIndex((panel) => panel.dataset.page === name);
    if (place < 0) return;
    if (filters) this.made(place).enter?.(filters);
    if (place === this.tabs.chosen) this.ask(); else this.tabs.choose(place);
    if (filters) this.tabs.tabs[place].focus({ preventScroll: true });
  }
  /** @param {number} place */
  made(place) {
    const [name, makePage] = PAGES[place], key = name.toLowerCase();
    let page = this.pages.get(key);
    if (!page) this.pages.set(key, page = makePage(this.panels[place], this));
    return page;
  }
  /** Tell the home what is looked at. */
  ask() {
    const looked = this.seen && document.visibilityState === "visible";
    this.transport.ask(looked ? this.page : null, this.pages.get(this.page)?.asks ?? {});
    this.transport.ask("call", looked && this.opened ? { id: this.opened } : null);
    this.onTurn();
  }
  /** @param {string} name @param {any} data */
  take(name, data) {
    if (!data) return;
    if (data.now) { this.now = data.now; this.heardAt = performance.now(); }
    if (name === "call") { if (this.opened) this.drawer.show(data); return; }
    if (name !== this.page) return;
    setText(this.problem, plain(data.problem));
    // What could not be asked has no more than that: what was there stays.
    if (Object.keys(data).some((key) => !["now", "problem", "more"].includes(key))) {
      this.made(this.tabs.chosen).show(data);
      this.wait.hidden = true;
    }
  }
  /** @param {HomeState} state @param {string} text */
  tell(state, text) {
    const lost = state !== "live";
    // Clocks stand still while nothing is heard.
    if (lost && !this.lost) this.now = this.clock();
    if (!lost && this.lost) this.heardAt = performance.now();
    this.lost = lost;
    this.root.dataset.state = state;
    const said = state === "live" ? "" : text || (state === "ended" ? "This dashboard has ended." : "The connection is lost. Trying again…");
    setText(this.strip, said);
  }
  /** @param {string} action @param {object} body @returns {Promise<Answer>} */
  async act(action, body) {
    try {
      const answer = await this.transport.act(action, body);
      return { ...answer, said: answer.said || (answer.ok ? "Done." : "It was refused.") };
    } catch (problem) {
      return { ok: false, said: problem instanceof Error && problem.message ? problem.message : "nobody has answered" };
    }
  }
  /** @param {string} id @param {HTMLElement | null} from */
  open(id, from) {
    this.opened = id;
    this.root.dataset.opened = "true";
    this.drawer.open(id, from);
    this.pages.get(this.page)?.opened?.(id);
    this.ask();
  }
  /** @param {string} id */
  closed(id) {
    this.opened = null;
    this.root.dataset.opened = "false";
    for (const page of this.pages.values()) page.opened?.("");
    this.ask();
  }
  /** Where the focus goes that was at a call. @param {string} id @returns {HTMLElement} */
  linkTo(id) {
    /** @type {HTMLElement | null} */
    const link = this.body.querySelector(`[data-page="${this.page}"] [data-call="${CSS.escape(id)}"]`);
    return link ?? this.pages.get(this.page)?.linkTo?.(id) ?? this.tabs.tabs[this.tabs.chosen];
  }
  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.key !== "Escape" || !this.opened) return;
    event.preventDefault();
    event.stopPropagation();
    this.drawer.close();
  }
  tick() { if (!this.lost && this.seen) this.pages.get(this.page)?.tick?.(); }
}

/**
 * Show the dashboard as a page of its own. What is on show stands in the address, so that it can be gone back to and kept.
 * @param {HTMLElement} el @param {Transport} transport
 */
async function showAlone(el, transport) {
  document.documentElement.classList.add("nbt-dash-page");
  await transport.ready;
  const home = new Home(el, transport, { kind: "page" });
  document.title = home.title.textContent ?? "";
  // Only what somebody does on the page is a step to go back to.
  let entering = true;
  const enter = () => { entering = true; home.enter(location.hash); entering = false; };
  home.onTurn = () => {
    const { place } = home;
    if (!entering && place !== (location.hash || "#overview")) history.pushState(null, "", place);
  };
  addEventListener("popstate", enter);
  enter();
  return home;
}
