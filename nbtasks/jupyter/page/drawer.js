// @ts-check
// The drawer under the mosaic: one call in full. It opens at once with what the page knows; the kernel tells the rest,
// and again every second as long as the call has not ended.

const ASK_AGAIN_MS = 1000;

class Drawer {
  /** @param {Element} parent @param {Store} store @param {() => void} onClose */
  constructor(parent, store, onClose) {
    this.store = store;
    this.onClose = onClose;
    /** @type {number | null} */
    this.index = null;
    /** @type {CallSaid | null} */
    this.said = null;
    this.code = -1;
    this.speaks = false; // whether what comes next is to be announced: the reader has moved on to another call
    /** @type {number | undefined} */
    this.timer = undefined;
    /** @type {Map<string, CallPart>} */
    this.parts = new Map();
    this.box = make("section", "nbt-drawer", parent);
    this.box.hidden = true;
    this.box.tabIndex = -1;
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.voice = make("div", "nbt-unseen", parent);
    this.voice.setAttribute("aria-live", "polite");
    const head = make("div", "nbt-drawer-head", this.box);
    this.swatch = make("i", "nbt-swatch", head);
    this.title = make("b", "", head);
    this.word = make("span", "nbt-word", head);
    this.back = makeButton("nbt-sign", head, "‹", () => this.step(-1), "previous call");
    this.on = makeButton("nbt-sign", head, "›", () => this.step(1), "next call");
    this.failed = makeButton("nbt-sign", head, "next failed", () => this.nextFailed(), "next failed call");
    makeButton("nbt-sign", head, "×", () => this.close(), "close");
    this.facts = make("div", "nbt-facts", this.box);
    const tools = make("div", "nbt-tools", this.box);
    this.retry = makeButton("nbt-button nbt-again", tools, "Retry this", () => {
      if (this.index !== null) this.store.ask("again", this.index);
    });
    this.debug = makeButton("nbt-button nbt-debug", tools, "Debug here", () => this.showDebug());
    copyButton("Copy id", tools, () => this.said?.id ?? "");
    this.line = make("code", "nbt-debug-line", tools);
    this.line.hidden = true;
    this.body = make("div", "", this.box);
  }
  get isOpen() { return this.index !== null; }
  /** @param {number} index @param {boolean} focus whether the reader goes on in here */
  open(index, focus) {
    const other = index !== this.index;
    this.index = index;
    this.box.hidden = false;
    if (other) {
      this.said = null;
      this.speaks = true;
      this.line.hidden = true;
      this.parts.clear();
      this.body.replaceChildren();
      this.facts.replaceChildren();
    }
    this.draw();
    this.ask();
    if (focus) this.box.focus({ preventScroll: true });
    this.box.scrollIntoView({ block: "nearest" });
  }
  close() {
    clearTimeout(this.timer);
    this.index = this.said = null;
    this.box.hidden = true;
    this.onClose();
  }
  /** Its view is gone. */
  forget() { clearTimeout(this.timer); }
  ask() {
    clearTimeout(this.timer);
    if (this.index === null) return;
    this.code = this.store.codes[this.index];
    this.store.send({ t: "call", index: this.index });
    if (!this.said?.final) this.timer = setTimeout(() => this.ask(), ASK_AGAIN_MS);
  }
  /** Something has changed in the batch. */
  refresh() {
    if (this.index === null) return;
    if (this.store.codes[this.index] !== this.code) this.ask();
    this.draw();
  }
  /** @param {CallSaid} said */
  take(said) {
    if (said.index !== this.index) return;
    this.said = said;
    if (said.final) clearTimeout(this.timer);
    this.draw();
    if (this.speaks) setText(this.voice, `${said.title || "call"}: ${said.word}`);
    this.speaks = false;
  }
  draw() {
    if (this.index === null) return;
    const said = this.said, many = this.store.view?.many;
    const state = said?.state ?? this.store.tables.states[this.store.codes[this.index]]?.name ?? "PENDING";
    this.swatch.style.background = colourOf(state);
    const title = said?.title ?? (many ? this.store.nameOf(this.index) : "");
    setText(this.title, title);
    this.title.title = title;
    this.box.setAttribute("aria-label", `Call ${title}`.trim());
    this.box.dataset.index = String(this.index);
    this.box.dataset.told = String(!!said);
    for (const button of [this.back, this.on]) button.hidden = !many;
    this.back.disabled = this.index === 0;
    this.on.disabled = this.index >= this.store.codes.length - 1;
    this.failed.hidden = !many || this.failedFrom(0) < 0;
    if (!said) return;
    setText(this.word, said.word);
    this.retry.hidden = !said.can_retry;
    this.retry.disabled = !!this.store.asked;
    this.drawFacts(said);
    this.drawParts(said);
  }
  /** @param {CallSaid} said */
  drawFacts(said) {
    const names = said.facts.map(([name]) => name).join();
    if (this.facts.dataset.names !== names || !this.facts.childElementCount) {
      this.facts.dataset.names = names;
      this.facts.replaceChildren(...said.facts.map(([name]) => {
        const fact = make("div");
        make("span", "", fact).textContent = name;
        make("b", "", fact);
        return fact;
      }));
    }
    const values = this.facts.querySelectorAll("b");
    said.facts.forEach(([, value], place) => setText(values[place], value));
  }
  /** @param {CallSaid} said */
  drawParts(said) {
    for (const { title, tone, pieces } of said.parts) {
      let part = this.parts.get(title);
      if (!part) this.parts.set(title, part = new CallPart(title, tone));
      part.show(pieces);
    }
    arrange(this.body, said.parts.map(({ title }) => /** @type {CallPart} */ (this.parts.get(title)).box));
  }
  showDebug() {
    if (!this.said) return;
    const line = this.said.debug;
    this.line.hidden = false;
    setText(this.line, line);
    copyText(line, this.debug).then((copied) => {
      setText(this.voice, copied ? `${line} is copied: paste it into a cell` : line);
      setText(this.line, copied ? `${line}   (copied: paste it into a cell)` : line);
    });
  }
  /** @param {number} by */
  step(by) {
    if (this.index === null) return;
    this.open(Math.max(0, Math.min(this.store.codes.length - 1, this.index + by)), false);
  }
  /** @param {number} from */
  failedFrom(from) { return this.store.codes.indexOf(this.store.tables.failure, from); }
  nextFailed() {
    const found = this.failedFrom((this.index ?? -1) + 1);
    const index = found < 0 ? this.failedFrom(0) : found;
    if (index >= 0) this.open(index, false);
  }
  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.target === this.box && event.key === "ArrowLeft") this.step(-1);
    else if (event.target === this.box && event.key === "ArrowRight") this.step(1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

/** One text of a call. It is changed where it changes, so that what is selected in it stays. */
class CallPart {
  /** @param {string} title @param {string} tone */
  constructor(title, tone) {
    this.box = make("div", "nbt-part");
    this.box.dataset.tone = tone;
    const head = make("div", "nbt-part-head", this.box);
    make("span", "", head).textContent = title;
    copyButton("Copy", head, () => this.text.textContent ?? "", `Copy ${title.toLowerCase()}`);
    this.text = make("pre", "nbt-text", this.box);
    this.text.tabIndex = 0;
    this.text.dataset.lmSuppressShortcuts = "true";
    this.text.setAttribute("role", "group");
    this.text.setAttribute("aria-label", title);
  }
  /** @param {[stream: string, text: string][]} pieces */
  show(pieces) {
    const atEnd = this.text.scrollTop + this.text.clientHeight >= this.text.scrollHeight - 4;
    const grew = this.text.childNodes.length > 0;
    pieces.forEach(([stream, text], place) => {
      const node = this.text.children[place] ?? make("span", "", this.text);
      /** @type {HTMLElement} */ (node).dataset.stream = stream;
      growText(node, text);
    });
    while (this.text.children.length > pieces.length) this.text.lastElementChild?.remove();
    if (grew && atEnd && this.box.dataset.tone === "output") this.text.scrollTop = this.text.scrollHeight;
  }
}
