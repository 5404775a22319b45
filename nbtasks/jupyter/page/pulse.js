// @ts-check
// Whether the kernel still tells what happens, and what to say when it does not.

const SILENT_AFTER_MS = 5000; // while calls run, the kernel sends something every two seconds
const ENDED = new Set(["restarting", "autorestarting", "terminating", "dead"]);

class Pulse {
  /** @param {Model} model @param {() => void} onEnd */
  constructor(model, onEnd) {
    this.heardAt = Date.now();
    this.ended = false;
    this.onEnd = onEnd;
    this.model = model;
    this.onStatus = (/** @type {any} */ _, /** @type {string} */ status) => { if (ENDED.has(status)) this.end(); };
    this.onKernel = (/** @type {any} */ _, /** @type {{oldValue: object | null}} */ { oldValue }) => { if (oldValue) this.end(); };
    this.onLive = () => this.end();
    const session = this.session = model.widget_manager?.context?.sessionContext;
    session?.statusChanged.connect(this.onStatus);
    session?.kernelChanged.connect(this.onKernel);
    model.on("comm_live_update", this.onLive);
  }
  close() {
    this.session?.statusChanged.disconnect(this.onStatus);
    this.session?.kernelChanged.disconnect(this.onKernel);
    this.model.off("comm_live_update", this.onLive);
  }
  hear() { this.heardAt = Date.now(); }
  end() {
    if (this.ended) return;
    this.ended = true;
    this.onEnd();
  }
  /** @param {View} view */
  lost(view) { return this.ended || (!view.done && Date.now() - this.heardAt > SILENT_AFTER_MS); }
  /** @param {View} view */
  says(view) {
    if (view.done || !this.lost(view)) return "";
    if (this.ended) return `The kernel has ended or was restarted, and this card with it: ${view.attach_hint}`;
    const seconds = Math.floor((Date.now() - this.heardAt) / 1000);
    return `The kernel has not been heard from for ${seconds} s. If it was restarted, ${view.attach_hint}`;
  }
}
