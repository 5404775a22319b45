// @ts-check
// Which of several views is on show: a list of tabs, worked by arrow keys as well.

class Tabs {
  /**
   * @param {[name: string, panel: HTMLElement][]} views the first one is on show
   * @param {string} id of the card on its page
   * @param {(place: number) => void} onChange told which one is on show now
   */
  constructor(views, id, onChange) {
    this.onChange = onChange;
    this.chosen = 0;
    this.box = make("div", "nbt-tabs");
    this.box.setAttribute("role", "tablist");
    this.box.setAttribute("aria-label", "How the calls are shown");
    this.tabs = views.map(([name, panel], place) => {
      const tab = makeButton("nbt-button nbt-tab", this.box, name, () => this.choose(place));
      panel.id = `${id}-${name.toLowerCase()}`;
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-label", name);
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", panel.id);
      return tab;
    });
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.mark();
  }
  /** @param {number} place */
  choose(place) {
    if (place === this.chosen) return;
    this.chosen = place;
    this.mark();
    this.onChange(place);
  }
  mark() {
    this.tabs.forEach((tab, place) => {
      tab.setAttribute("aria-selected", String(place === this.chosen));
      tab.tabIndex = place === this.chosen ? 0 : -1;
    });
  }
  /** @param {KeyboardEvent} event */
  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    this.choose((this.chosen + step + this.tabs.length) % this.tabs.length);
    this.tabs[this.chosen].focus();
  }
}
