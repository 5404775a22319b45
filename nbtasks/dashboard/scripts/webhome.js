// @ts-check
// The dashboard as a web page: its server sends what is on show as server-sent events, and is told what to do by POST.

const CLOSED_TRY_AGAIN_MS = 3000, NOT_LET_IN = "This page is not let in any more: open the URL again that `nbtasks dashboard` has printed.";

/** @implements {Transport} */
class ServerTransport {
  /** @param {string} base where the server's paths begin */
  constructor(base) {
    this.base = base;
    this.readonly = true;
    this.title = this.about = "";
    this.csrf = "";
    /** @type {{page: string, filters: Filters, call: string}} */
    this.asked = { page: "", filters: {}, call: "" };
    this.url = "";
    /** @type {EventSource | null} */
    this.source = null;
    /** @type {number | undefined} */
    this.timer = undefined;
    /** @type {(page: string, data: any) => void} */
    this.show = () => {};
    /** @type {(state: HomeState, text?: string) => void} */
    this.state = () => {};
    /** What the page is, is known with the first message. @type {Promise<void>} */
    this.ready = new Promise((resolve) => { this.greeted = resolve; });
    this.open();
  }
  close() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }
  open() {
    this.close();
    const { page, filters, call } = this.asked;
    this.url = `${this.base}stream?${new URLSearchParams({ ...(page && { page, filters: JSON.stringify(filters) }), ...(call && { call }) })}`;
    const source = this.source = new EventSource(this.url);
    source.addEventListener("hello", (event) => this.hello(JSON.parse(event.data)));
    source.addEventListener("page", (event) => {
      const { page: name, data } = JSON.parse(event.data);
      this.show(name, data);
    });
    source.onerror = () => {
      if (source !== this.source) return;
      this.state("lost");
      // It tries again by itself where nobody answers, but not where it was refused.
      if (source.readyState === EventSource.CLOSED) this.refused();
    };
  }
  /** @param {{readonly: boolean, address: string, namespace: string, csrf: string}} said */
  hello(said) {
    this.readonly = said.readonly;
    this.title = said.namespace;
    this.about = said.address;
    this.csrf = said.csrf;
    this.greeted?.();
    this.state("live");
  }
  async refused() {
    const { status } = await fetch(this.url, { headers: { Accept: "application/json" } }).then((answer) => {
      answer.body?.cancel();
      return answer;
    }, () => ({ status: 0 }));
    if (status === 401 || status === 403) this.state("lost", NOT_LET_IN);
    this.greeted?.();
    this.timer = setTimeout(() => this.open(), CLOSED_TRY_AGAIN_MS);
  }
  /** @param {(page: string, data: any) => void} callback */
  onPage(callback) { this.show = callback; }
  /** @param {(state: HomeState, text?: string) => void} callback */
  onState(callback) { this.state = callback; }
  /** @param {string | null} page @param {Filters | null} [filters] */
  ask(page, filters) {
    const before = JSON.stringify(this.asked);
    if (page === "call") this.asked.call = filters?.id ?? "";
    else this.asked = { ...this.asked, page: page ?? "", filters: filters ?? {} };
    if (JSON.stringify(this.asked) === before && this.source) return;
    // Page and call are often asked for at once.
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { if (this.asked.page || this.asked.call) this.open(); else this.close(); });
  }
  /** @param {string} action @param {object} body @returns {Promise<Answer>} */
  async act(action, body) {
    const answer = await fetch(`${this.base}api/act/${encodeURIComponent(action)}`, {
      method: "POST", headers: { "Content-Type": "application/json", "X-CSRF-Token": this.csrf }, body: JSON.stringify(body),
    }).catch(() => null);
    if (!answer) return { ok: false, said: "the server of this page does not answer" };
    return answer.json().catch(() => ({ ok: false, said: `the server has answered with ${answer.status}` }));
  }
}
