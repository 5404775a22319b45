// @ts-check
// The result, as the notebook would show it.

class ResultPreview {
  /** @param {Element} parent @param {Store} store */
  constructor(parent, store) {
    this.store = store;
    /** @type {Preview | null} */
    this.drawn = null;
    this.box = make("div", "nbt-preview", parent);
  }
  draw() {
    const preview = this.store.preview;
    this.box.hidden = !preview;
    if (preview === this.drawn) return;
    this.drawn = preview;
    this.box.replaceChildren();
    if (!preview) return;
    // The user's own, as Out[n]; it lies as deep as in the saved card, for Jupyter has rules for what lies less deep.
    if (preview.html !== null) make("div", "", make("div", "jp-RenderedHTMLCommon nbt-page", this.box)).innerHTML = preview.html;
    else if (preview.png !== null) {
      const image = make("img", "", this.box);
      image.alt = "result";
      image.src = `data:image/png;base64,${preview.png}`;
    } else make("pre", "nbt-value", this.box).textContent = preview.text;
  }
}
