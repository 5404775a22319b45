// @ts-check
// Tells that a long run has ended, where its tab is hidden and somebody has asked for that on a card. The answer holds for
// all cards of this browser. Nothing here may fail: notifications and the memory of the browser may both be forbidden.

const OFFER_AFTER_S = 10, LONG_S = 30, REMEMBERED = "nbtasks-tell-end";

/** @type {string | undefined} */
let permission; // as the browser has said it: a page that asks stands still until the browser's own process has answered

class EndNotice {
  /** @param {Store} store */
  constructor(store) {
    this.store = store;
    this.runs = false; // as far as this page has seen
  }
  get permission() {
    try { return permission ??= window.isSecureContext ? Notification.permission : "denied"; } catch { return permission = "denied"; }
  }
  get isPossible() { return this.permission !== "denied"; }
  get isWanted() {
    try { return localStorage.getItem(REMEMBERED) === "yes" && this.permission === "granted"; } catch { return false; }
  }
  /** Somebody has pressed the button, which is when a page may ask the browser. */
  async toggle() {
    const wanted = !this.isWanted;
    try {
      if (wanted) permission = await Notification.requestPermission();
      localStorage.setItem(REMEMBERED, wanted ? "yes" : "no");
    } catch { /* it stays as it was */ }
    this.store.show();
  }
  /** @param {View} view */
  isOffered(view) {
    return !view.done && this.store.now() - view.created_at > OFFER_AFTER_S && !this.store.pulse.lost(view) && this.isPossible;
  }
  /** There is news of the run. @param {View} view */
  hear(view) {
    const ended = this.runs && view.done;
    this.runs = !view.done;
    if (!ended || !document.hidden || !this.isWanted || this.store.now() - view.created_at < LONG_S) return;
    try {
      // Several pages may show the same card: the browser shows one notice of them.
      const tag = `nbtasks-${this.store.model.get("card")}`;
      const notice = new Notification(`${view.title}: ${view.shown_state}`, { body: view.pace || view.took, tag });
      notice.onclick = () => { window.focus(); notice.close(); };
    } catch { /* some browsers have the word, and throw */ }
  }
}
