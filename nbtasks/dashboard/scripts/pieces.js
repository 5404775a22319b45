// @ts-check
// Pieces that several pages have: marks of states, links to calls, figures, buttons that do something and say what came of it.

const MARK = 10, ASKED_FOR_MS = 5000, MOST_LETTERS = 300;
/** @type {Map<string, string>} */
const pictures = new Map();

/** What has the focus keeps its keys from Jupyter. @template {HTMLElement} T @param {T} node */
function ownKeys(node) {
  node.dataset.lmSuppressShortcuts = "true";
  return node;
}
/**
 * A field to type into.
 * @param {string} kind @param {Element} parent @param {string} hint @param {string} label
 * @param {{type?: string, min?: string, step?: string, hidden?: boolean}} [more]
 */
function makeField(kind, parent, hint, label, more) {
  const field = ownKeys(make("input", `nbt-filter ${kind}`.trimEnd(), parent));
  field.placeholder = hint;
  field.setAttribute("aria-label", label);
  Object.assign(field, more);
  return field;
}
/** A square that tells a state by its shape and its colour. @param {string} state @param {Element} [parent] */
function mark(state, parent) {
  const image = make("img", "nbt-mark", parent);
  image.alt = "";
  setMark(image, state);
  return image;
}
/** @param {HTMLImageElement} image @param {string} state */
function setMark(image, state) {
  if (image.dataset.state === state) return;
  image.dataset.state = state;
  const code = TABLES.states.findIndex(({ name }) => name === state);
  if (!pictures.has(state) && code >= 0) {
    const canvas = make("canvas"), pen = canvas.getContext("2d");
    canvas.width = canvas.height = MARK;
    if (pen) pen.fillStyle = TABLES.states[code].colour;
    for (const [x, y, width, height] of filled(TABLES.stencils[MARK][code])) pen?.fillRect(x, y, width, height);
    pictures.set(state, canvas.toDataURL());
  }
  image.hidden = code < 0;
  image.src = pictures.get(state) ?? "";
}
/** A state as mark and word. @param {HTMLElement} cell @param {string} state @param {string | null} [word] that says more */
function putState(cell, state, word) {
  const image = /** @type {HTMLImageElement} */ (cell.querySelector("img")) ?? mark(state, cell);
  const node = cell.querySelector("span") ?? make("span", "", cell);
  setMark(image, state);
  setText(node, word || wordOf(state));
}
/** Names with their values; what has none is left out. @param {HTMLElement} box @param {[string, string][]} facts */
function putFacts(box, facts) {
  const told = facts.filter(([, value]) => value), names = told.map(([name]) => name).join();
  if (box.dataset.names !== names || !box.childElementCount) {
    box.dataset.names = names;
    box.replaceChildren(...told.map(([name]) => {
      const fact = make("div");
      make("span", "", fact).textContent = name;
      make("bdi", "", make("b", "", fact));
      return fact;
    }));
  }
  const values = box.querySelectorAll("bdi");
  told.forEach(([, value], place) => setText(values[place], oneLine(value)));
}
/** Other people's text, which says for itself in which direction it runs. @param {HTMLElement} cell @param {string} raw */
function putText(cell, raw) {
  const text = oneLine(raw);
  const node = cell.querySelector("bdi") ?? make("bdi", "", cell);
  const short = text.length > MOST_LETTERS ? `${text.slice(0, MOST_LETTERS - 1)}…` : text;
  setText(node, short);
  const title = text.length > 24 ? text.slice(0, 1000) : "";
  if (cell.title !== title) cell.title = title;
}
/**
 * The button that opens a call; its text is the task.
 * @param {HTMLElement} cell @param {string} raw @param {string | null} id @param {Home} home
 */
function putCall(cell, raw, id, home) {
  const text = oneLine(raw).slice(0, MOST_LETTERS);
  let link = /** @type {HTMLButtonElement | null} */ (cell.querySelector("button.nbt-link"));
  if (!link) {
    link = makeButton("nbt-link", cell, "", () => { if (link?.dataset.call) home.open(link.dataset.call, link); });
    make("bdi", "", link);
  }
  link.dataset.call = id ?? "";
  link.disabled = !id;
  setText(/** @type {Element} */ (link.firstElementChild), text || "(no name)");
  if (link.title !== text) link.title = text;
}

/** A number with what it counts. */
class Figure {
  /** @param {Element} parent @param {string} name @param {string} [state] whose mark it bears */
  constructor(parent, name, state) {
    this.box = make("div", "nbt-figure", parent);
    this.box.setAttribute("role", "listitem");
    const title = make("span", "", this.box);
    if (state) mark(state, title);
    title.append(name);
    this.number = make("b", "", this.box);
    this.note = make("small", "", this.box);
  }
  /** @param {string} number @param {string} [note] */
  show(number, note = "") {
    setText(this.number, number);
    setText(this.note, note);
    this.note.hidden = !note;
  }
}

/** What was said of the last button, beside it. */
class Said {
  /** @param {Element} parent */
  constructor(parent) {
    this.box = make("div", "nbt-answer", parent);
    this.box.setAttribute("role", "status");
    this.text = make("bdi", "", this.box);
    this.away = makeButton("nbt-sign", this.box, "×", () => this.show(null), "close this note");
    this.show(null);
  }
  /** @param {Answer | null} answer */
  show(answer) {
    this.box.classList.toggle("nbt-shown", !!answer);
    this.away.hidden = !answer;
    this.box.dataset.ok = String(answer?.ok ?? true);
    setText(this.text, answer ? `${answer.ok ? "" : "Not done: "}${plain(answer.said)}` : "");
  }
}

/**
 * A button that has the home do something. What cannot be taken back is asked for twice.
 * @param {Home} home @param {Element} parent @param {string} text
 * @param {{action: string, body: () => object, said: Said, label?: string, sure?: string, after?: (answer: Answer) => void}} what
 */
function actButton(home, parent, text, { action, body, said, label, sure, after }) {
  /** @type {number | undefined} */
  let timer;
  const calm = () => { clearTimeout(timer); delete button.dataset.sure; setText(button, text); if (label) button.setAttribute("aria-label", label); };
  const button = makeButton("nbt-button nbt-act", parent, text, async () => {
    if (button.getAttribute("aria-disabled") === "true") return;
    if (sure && !button.dataset.sure) {
      button.dataset.sure = "true";
      setText(button, sure);
      button.setAttribute("aria-label", sure);
      timer = setTimeout(calm, ASKED_FOR_MS);
      return;
    }
    calm();
    // Not disabled: that would take the focus from whoever pressed it.
    button.setAttribute("aria-disabled", "true");
    said.show(null);
    const answer = await home.act(action, body());
    button.removeAttribute("aria-disabled");
    said.show(answer);
    after?.(answer);
  }, label);
  if (sure) button.addEventListener("blur", calm);
  if (sure) button.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !button.dataset.sure) return;
    event.stopPropagation();
    calm();
  });
  button.dataset.action = action;
  button.hidden = home.readonly;
  return button;
}
/** @param {Element} parent @param {string} title @param {string} [name] */
function part(parent, title, name = "") {
  const box = make("section", `nbt-block ${name}`.trim(), parent);
  const head = make("div", "nbt-block-head", box);
  make("h2", "", head).textContent = title;
  return { box, head };
}
/** A choice of one. @param {Element} parent @param {string} label @param {(value: string) => void} chosen */
function chooser(parent, label, chosen) {
  const node = ownKeys(make("select", "nbt-filter", parent));
  node.setAttribute("aria-label", label);
  node.addEventListener("change", () => chosen(node.value));
  return node;
}
/** What can be chosen; not while somebody chooses. @param {HTMLSelectElement} node @param {[value: string, words: string][]} options @param {string} value */
function fillChooser(node, options, value) {
  const key = JSON.stringify(options);
  if (document.activeElement === node) return;
  if (node.dataset.key !== key) {
    node.dataset.key = key;
    node.replaceChildren(...options.map(([each, words]) => {
      const option = make("option");
      option.value = each;
      option.textContent = oneLine(words).slice(0, 60);
      return option;
    }));
  }
  node.value = value;
}
/** Names, or all of them. @param {HTMLSelectElement} node @param {string} all @param {string[]} names @param {string} value */
function offer(node, all, names, value) {
  fillChooser(node, [["", all], ...[...new Set([...names, ...(value ? [value] : [])])].map((name) => /** @type {[string, string]} */ ([name, name]))], value);
}
