// @ts-check
// What the notebook saves of a card: its saved form, which needs no kernel, while the page goes on showing the widget.
//
// JupyterLab and Notebook 7 hand their document to widgets. A cell has its outputs twice there: as they are on show, and
// as they are written to the file. The card stays in the first and puts its saved form into the second. When the file is
// opened again, the card's model comes back from the kernel, if that still runs, and takes its places again.

const VIEW = "application/vnd.jupyter.widget-view+json";

/**
 * @typedef {Record<string, any>} Bundle
 * @typedef {{connect(slot: Function): void, disconnect(slot: Function): void}} Signal
 * @typedef {{data: Bundle, metadata: {nbtasks?: any}}} Output
 * @typedef {{length: number, get(place: number): Output, set(place: number, output: object): void, add(output: object): void}} Outputs
 * @typedef {{
 *   outputs?: Outputs,
 *   sharedModel: {getOutputs(): Output[], updateOutputs(from: number, to: number, outputs: object[], origin: string): void},
 * }} Cell
 * @typedef {{cells: Iterable<Cell> & {changed: Signal}, collaborative?: boolean, dirty: boolean}} Notebook
 */

class Keeper {
  /** @param {Model} model */
  constructor(model) {
    /** @type {string} */
    this.card = model.get("card");
    /** @type {Bundle | null} */
    this.still = null; // the newest saved form that the kernel has sent
    this.retired = false;
    this.onCells = () => { setTimeout(() => this.settle()); };
    /** @type {Notebook | undefined} */
    const notebook = model.widget_manager?.context?.model;
    // With other people in the same document, what is written there is what they see.
    this.notebook = notebook?.cells && !notebook.collaborative ? notebook : null;
    this.notebook?.cells.changed.connect(this.onCells);
    this.unmarked = false; // something was written, and the notebook not marked as changed
    this.custody = this.notebook && new Custody(model, () => { if (this.unmarked) this.mark(false); });
  }
  close() {
    this.custody?.close();
    this.notebook?.cells.changed.disconnect(this.onCells);
  }
  /** What was written is to be saved, by this page or by another one. @param {boolean} before whether the notebook was to be saved */
  mark(before) {
    if (!this.notebook) return;
    this.unmarked = !before && !this.custody?.mine;
    this.notebook.dirty = !this.unmarked;
    if (this.unmarked) this.custody?.ask();
  }
  get keeps() { return this.notebook !== null; }
  /** @param {Bundle} still */
  keep(still) {
    this.still = still;
    this.settle();
  }
  /** The widget will be gone soon: its saved form takes its place. */
  retire() {
    this.retired = true;
    this.settle();
  }
  /** The cells that show the card. */
  * cells() {
    for (const cell of this.notebook?.cells ?? []) {
      for (let place = 0; place < (cell.outputs?.length ?? 0); place++) {
        if (cell.outputs?.get(place).metadata?.nbtasks?.card === this.card) { yield cell; break; }
      }
    }
  }
  /** Bring every output that is this card's, also a copied, moved or reopened one, to what it should be. */
  settle() {
    for (const cell of this.notebook?.cells ?? []) {
      for (let place = 0; place < (cell.outputs?.length ?? 0); place++) {
        if (cell.outputs?.get(place).metadata?.nbtasks?.card === this.card) this.put(cell, cell.outputs, place);
      }
    }
  }
  /** @param {Cell} cell @param {Outputs} outputs @param {number} place */
  put(cell, outputs, place) {
    const notebook = this.notebook;
    if (!notebook) return;
    const { data, metadata } = outputs.get(place);
    const { [VIEW]: view, ...own } = data;
    const kept = this.still ?? own, before = cell.sharedModel.getOutputs()[place]?.data ?? {};
    const output = (/** @type {Bundle} */ bundle) => ({ output_type: "display_data", data: bundle, metadata });
    const dirty = notebook.dirty, news = VIEW in before || before["text/html"] !== kept["text/html"];
    if (this.retired) { if (view) outputs.set(place, output(kept)); }
    else if (!view) outputs.set(place, output({ [VIEW]: { version_major: 2, version_minor: 0, model_id: this.card }, ...kept }));
    // Of a change with this origin the page is not told: it goes on showing what it shows.
    cell.sharedModel.updateOutputs(place, place + 1, [output(kept)], "silent-change");
    if (news) this.mark(dirty); else notebook.dirty = dirty;
  }
}
