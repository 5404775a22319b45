// @ts-check
// Which of several pages that show one notebook marks it as changed when its cards change. If all did, each would save it,
// and Jupyter would ask in all others which version is to be kept.

const CUSTODY_FREE_AFTER_MS = 3000; // nobody has claimed it since it was asked for

class Custody {
  /** @param {Model} model @param {() => void} onMine */
  constructor(model, onMine) {
    this.model = model;
    this.onMine = onMine;
    this.page = Math.random().toString(36).slice(2);
    this.mine = false;
    /** @type {number | undefined} */
    this.timer = undefined;
    // Within the event, the model takes a value that it had before for no change.
    this.onChange = () => { setTimeout(() => this.look()); };
    this.onLeave = () => { if (this.mine) this.say(""); };
    model.on("change:custodian", this.onChange);
    addEventListener("pagehide", this.onLeave);
    this.ask();
  }
  /** A page that has it and lives claims it again; else it is this one's. */
  ask() {
    if (this.mine) return;
    this.say("");
    this.look();
  }
  close() {
    clearTimeout(this.timer);
    this.model.off("change:custodian", this.onChange);
    removeEventListener("pagehide", this.onLeave);
  }
  look() {
    const custodian = this.model.get("custodian");
    clearTimeout(this.timer);
    if (custodian) this.mine = custodian === this.page;
    else if (this.mine) this.say(this.page);
    else this.timer = setTimeout(() => { this.mine = true; this.say(this.page); this.onMine(); }, CUSTODY_FREE_AFTER_MS);
  }
  /** @param {string} custodian */
  say(custodian) {
    // Jupyter throws where the kernel is gone.
    try { this.model.set("custodian", custodian); this.model.save_changes(); } catch { /* nobody else hears it either */ }
  }
}
