// @ts-check
// What a page says first, again and again until the kernel answers. On a busy machine the first one may be sent before the
// page has a shell of its own, and then it lies there until the cell has ended that blocks.

const GREET_AGAIN_MS = 500;

class Greeting {
  /** @param {() => void} say */
  constructor(say) {
    this.say = say;
    this.wait = GREET_AGAIN_MS;
    /** @type {number | undefined} */
    this.timer = undefined;
    this.greet();
  }
  greet() {
    this.say();
    this.timer = setTimeout(() => this.greet(), this.wait);
    this.wait *= 2;
  }
  /** The kernel has answered, or nobody is left who asks. */
  end() { clearTimeout(this.timer); }
}
