// @ts-check
// What calls print: the newest lines of all of them.

class OutputLines {
  /** @param {Element} parent @param {Store} store */
  constructor(parent, store) {
    this.store = store;
    /** @type {Line[] | null} */
    this.drawn = null;
    this.box = make("div", "nbt-output", parent);
    this.lines = make("pre", "nbt-lines", this.box);
    this.more = make("button", "nbt-more", this.box);
    this.more.type = "button";
    this.more.addEventListener("click", () => {
      this.box.dataset.open = String(this.box.dataset.open !== "true");
      this.draw(true);
    });
  }
  /** @param {boolean} always */
  draw(always) {
    const output = this.store.output;
    if (!always && output === this.drawn) return;
    this.drawn = output;
    this.box.hidden = !output.length;
    const open = this.box.dataset.open === "true";
    const atEnd = this.lines.scrollTop + this.lines.clientHeight >= this.lines.scrollHeight - 4;
    const many = this.store.view?.many;
    this.lines.replaceChildren(...(open ? output : output.slice(-5)).map(([index, stream, text]) => {
      const line = make("div", "nbt-line");
      line.dataset.stream = stream;
      if (many) make("i", "", line).textContent = `#${index}`;
      line.append(text);
      return line;
    }));
    if (open && atEnd) this.lines.scrollTop = this.lines.scrollHeight;
    this.more.hidden = output.length <= 5;
    setText(this.more, open ? "show less" : `show ${output.length} lines`);
  }
}
