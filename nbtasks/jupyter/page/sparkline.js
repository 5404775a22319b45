// @ts-check
// How fast calls have ended so far, as a small line beside the rate. The saved form has the same picture: card/paceline.py.

class Sparkline {
  /** @param {Store} store */
  constructor(store) {
    this.store = store;
    /** @type {Spark | null} */
    this.drawn = null;
    this.image = make("img", "nbt-spark");
    this.image.hidden = true;
  }
  draw() {
    const spark = this.store.spark;
    if (spark === this.drawn) return;
    this.drawn = spark;
    this.image.hidden = !spark;
    if (!spark) return;
    this.image.alt = spark.label;
    this.image.title = spark.label;
    const points = spark.heights.map((height, at) => `${2 * at} ${15 - height}`).join("L"), width = 2 * (spark.heights.length - 1);
    this.image.src = `data:image/svg+xml,${encodeURIComponent(
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} 16" preserveAspectRatio="none">`
      + `<path d="M${points}" fill="none" stroke="rgb(128,134,142)" stroke-width="1.25" vector-effect="non-scaling-stroke"/></svg>`,
    )}`;
  }
}
