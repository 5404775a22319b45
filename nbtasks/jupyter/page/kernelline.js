// @ts-check
// What goes between a page and the widget in the kernel whose model it has: the greeting, saved forms for the file, messages.
// At the other end is widgetline.py.

/**
 * @typedef {{
 *   receive(message: any, buffers: DataView[]): void, gone(): void, retired?(): void, pulse?: {hear(): void},
 * }} LineOwner who takes what else the kernel says, and hears that it has gone
 */

class KernelLine {
  /** @param {Model} model @param {LineOwner} owner */
  constructor(model, owner) {
    this.model = model;
    this.owner = owner;
    this.keeper = new Keeper(model);
    /** @type {Greeting | undefined} */
    this.greeting = undefined;
    this.onMessage = (/** @type {any} */ message, /** @type {DataView[]} */ buffers) => this.receive(message, buffers);
    this.state = "";
    this.onState = () => {};
    model.on("msg:custom", this.onMessage);
  }
  /** Call `load()` whenever the kernel tells something of the model anew. @param {string} name @param {() => void} load */
  follow(name, load) {
    this.state = `change:${name}`;
    this.onState = load;
    this.model.on(this.state, load);
  }
  /** Say that the widget lives here. @param {object} [more] what else is said */
  greet(more) { this.greeting = new Greeting(() => this.send({ t: "hello", ...more })); }
  close() {
    this.greeting?.end();
    this.keeper.close();
    this.model.off("msg:custom", this.onMessage);
    if (this.state) this.model.off(this.state, this.onState);
  }
  /** @param {any} message @param {DataView[]} buffers */
  receive(message, buffers) {
    this.owner.pulse?.hear();
    if (message.k === "welcome") this.greeting?.end();
    else if (message.k === "still") this.keeper.keep(message.data);
    else if (message.k === "retire") { this.keeper.retire(); this.owner.retired?.(); }
    else this.owner.receive(message, buffers);
  }
  /** Returns whether there is a kernel that hears it. @param {object} content */
  send(content) {
    // Jupyter throws where the kernel is gone.
    try { this.model.send(content); return true; } catch { this.owner.gone(); return false; }
  }
}
