// @ts-check
// What calls display stands below their card, as outputs of the notebook. Jupyter itself brings them to the page that has run
// the cell; a page that was reloaded, or opened beside it, sees here what it lacks, and puts it there.

class Below {
  /** @param {Keeper} keeper @param {(places: number[]) => void} ask */
  constructor(keeper, ask) {
    this.keeper = keeper;
    this.ask = ask;
  }
  /** @param {BelowSaid} message */
  take({ versions, outputs }) {
    /** @type {Set<number>} */
    const lacking = new Set();
    for (const cell of this.keeper.cells()) {
      const before = this.marksOf(cell), dirty = !!this.keeper.notebook?.dirty;
      for (const output of outputs ?? []) {
        const { place } = output.metadata.nbtasks, had = before.get(place);
        const whole = { output_type: "display_data", ...output };
        if (!had) cell.outputs?.add(whole);
        else if (had.version !== versions[place]) cell.outputs?.set(had.at, whole);
      }
      if (outputs?.length) this.keeper.mark(dirty);
      const now = this.marksOf(cell);
      versions.forEach((version, place) => { if (now.get(place)?.version !== version) lacking.add(place); });
    }
    if (lacking.size && !outputs) this.ask([...lacking]);
  }
  /** Where a cell has which of them. @param {Cell} cell */
  marksOf(cell) {
    /** @type {Map<number, {at: number, version: number}>} */
    const found = new Map();
    for (let at = 0; at < (cell.outputs?.length ?? 0); at++) {
      const mark = cell.outputs?.get(at).metadata?.nbtasks;
      if (mark?.below === this.keeper.card) found.set(mark.place, { at, version: mark.version });
    }
    return found;
  }
}
