// @ts-check
// What calls print: the newest lines of all of them. Lines are added and trimmed, and stay elements while they stand
// there; while a text in them is selected, or somebody reads further up, nothing moves.

const FEW_LINES = 5, MOST_KEPT = 3000;

class OutputLines {
  /** @param {Element} parent @param {Store} store */
  constructor(parent, store) {
    this.store = store;
    /** @type {Line[]} */
    this.drawn = []; // a line for each element
    /** @type {Line[] | null} */
    this.seen = null;
    this.waits = false; // a text is selected: what is new comes afterwards
    this.wanted = false; // the file was asked for by this view
    this.box = make("div", "nbt-output", parent);
    this.lines = make("pre", "nbt-lines", this.box);
    this.lines.setAttribute("aria-label", "Output");
    this.tools = make("div", "nbt-output-tools", this.box);
    this.more = makeButton("nbt-more", this.tools, "", () => this.toggle());
    copyButton("copy", this.tools, () => this.drawn.map(([, , text]) => text).join("\n"), "copy output");
    makeButton("nbt-more nbt-download", this.tools, "download all", () => { this.wanted = true; store.send({ t: "output" }); });
    this.onSelection = () => { if (this.waits) this.draw(); };
    document.addEventListener("selectionchange", this.onSelection);
  }
  close() { document.removeEventListener("selectionchange", this.onSelection); }
  get isOpen() { return this.box.dataset.open === "true"; }
  toggle() {
    this.box.dataset.open = String(!this.isOpen);
    // Only what scrolls need be reached by keyboard.
    if (this.isOpen) { this.lines.tabIndex = 0; this.lines.dataset.lmSuppressShortcuts = "true"; } else this.lines.removeAttribute("tabindex");
    this.lines.scrollTop = this.lines.scrollHeight;
    this.trim();
    this.drawTools();
  }
  get isSelected() {
    const selection = document.getSelection();
    return !!selection && !selection.isCollapsed && selection.containsNode(this.lines, true);
  }
  draw() {
    const output = this.store.output;
    this.box.hidden = !output.length;
    this.waits = output !== this.seen && this.isSelected;
    if (output !== this.seen && !this.waits) {
      this.seen = output;
      const atEnd = this.isAtEnd;
      this.add(output);
      if (atEnd) { this.trim(); this.lines.scrollTop = this.lines.scrollHeight; }
    }
    this.drawTools();
  }
  get isAtEnd() { return this.lines.scrollTop + this.lines.clientHeight >= this.lines.scrollHeight - 4; }
  drawTools() {
    const number = this.store.output.length, more = number > FEW_LINES;
    this.more.hidden = !more && !this.waits;
    setText(this.more, this.waits ? "goes on when nothing is selected" : this.isOpen ? "show less" : `show ${number} lines`);
  }
  /** @param {Line[]} output the newest lines */
  add(output) {
    const known = this.overlap(output), from = this.drawn.length - known;
    for (let place = 0; place < known; place++) this.grow(from + place, output[place]);
    for (const line of output.slice(known)) this.append(line);
  }
  /**
   * How many of the last lines that stand here are the first of these. Some may have changed since: a line grows until it
   * ends, and bars are written anew.
   * @param {Line[]} output
   */
  overlap(output) {
    let best = 0, most = 0;
    for (let known = Math.min(this.drawn.length, output.length); known > 0; known--) {
      const before = this.drawn.slice(this.drawn.length - known);
      const ofSame = before.every(([index, stream], place) => index === output[place][0] && stream === output[place][1]);
      const alike = ofSame ? before.filter(([, , text], place) => output[place][2].startsWith(text)).length : 0;
      if (alike > most) { best = known; most = alike; }
    }
    return best;
  }
  /** @param {number} place @param {Line} line */
  grow(place, line) {
    if (this.drawn[place][2] === line[2]) return;
    this.drawn[place] = line;
    const text = /** @type {HTMLElement | null} */ (this.lines.children[place].lastElementChild);
    if (text && line[3].length) paintText(text, line[2], line[3]); else if (text) growText(text, line[2]);
  }
  /** @param {Line} line */
  append(line) {
    const [, stream, text, paint, name] = line;
    const node = make("div", "nbt-line", this.lines);
    node.dataset.stream = stream;
    if (name) make("bdi", "", make("i", "", node)).textContent = name;
    paintText(make("span", "", node), text, paint);
    this.drawn.push(line);
    if (this.drawn.length > MOST_KEPT) this.drop(1);
  }
  /** Keep what the kernel keeps; while somebody reads further up, it is more. */
  trim() { this.drop(this.drawn.length - this.store.output.length); }
  /** @param {number} number */
  drop(number) {
    if (number <= 0) return;
    for (let place = 0; place < number; place++) this.lines.firstElementChild?.remove();
    this.drawn.splice(0, number);
  }
  /** @param {string} name @param {Uint8Array} data */
  save(name, data) {
    if (this.wanted) saveFile(data, name);
    this.wanted = false;
  }
}
