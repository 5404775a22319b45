// @ts-check
// What a card in the list has for a model: the list's own passes on what is said to and by it.

class RowModel {
  /**
   * @param {string} key @param {Record<string, any>} state @param {(content: object) => void} send
   */
  constructor(key, state, send) {
    this.key = key;
    this.state = state;
    this.send = send;
    /** @type {Map<string, Set<Function>>} */
    this.callbacks = new Map();
  }
  /** @param {string} name */
  get(name) { return this.state[name]; }
  /** @param {string} event @param {Function} callback */
  on(event, callback) {
    if (!this.callbacks.has(event)) this.callbacks.set(event, new Set());
    this.callbacks.get(event)?.add(callback);
  }
  /** @param {string} event @param {Function} callback */
  off(event, callback) { this.callbacks.get(event)?.delete(callback); }
  /** @param {object} message @param {DataView[]} buffers */
  take(message, buffers) { for (const callback of this.callbacks.get("msg:custom") ?? []) callback(message, buffers); }
}
