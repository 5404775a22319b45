// @ts-check
// One call in full, beside the page: what it was given, what it printed, how each attempt ended; and what can be done with it.

class CallDrawer {
  /** @param {Element} parent @param {Home} home */
  constructor(parent, home) {
    this.home = home;
    /** @type {string | null} */
    this.id = null;
    /** @type {HTMLElement | null} */
    this.from = null; // where the reader came from, and goes back to
    /** @type {CallData | null} */
    this.data = null;
    /** @type {Map<string, CallText>} */
    this.texts = new Map();
    const box = this.box = ownKeys(make("section", "nbt-sheet", parent));
    box.hidden = true;
    box.tabIndex = -1;
    box.setAttribute("aria-label", "One call");
    const head = make("div", "nbt-sheet-head", box);
    this.mark = mark("PENDING", head);
    this.title = make("h2", "", head);
    this.word = make("span", "nbt-word", head);
    makeButton("nbt-sign", head, "×", () => this.close(), "close this call");
    this.facts = make("div", "nbt-facts", box);
    this.why = make("p", "nbt-why", box);
    const tools = make("div", "nbt-tools", box);
    this.said = new Said(box);
    const body = () => ({ id: this.id }), { said } = this;
    this.actions = {
      retry: actButton(home, tools, "Retry", { action: "retry", body, said, label: "run this call again", after: (answer) => this.retried(answer) }),
      revoke: actButton(home, tools, "Revoke", { action: "revoke", body, said, label: "take this call back" }),
      terminate: actButton(home, tools, "Stop it", { action: "terminate", body, said, label: "stop this call where it runs", sure: "Stop it now?" }),
    };
    copyButton("Copy id", tools, () => this.id ?? "");
    this.body = make("div", "nbt-sheet-body", box);
    const attempts = this.attempts = part(box, "Attempts");
    /** @type {Grid<Attempt>} */
    this.grid = new Grid(attempts.box, "Attempts", [
      { name: "#", kind: "number", put: (cell, { n }) => setText(cell, String(n)) },
      { name: "began", put: (cell, one) => setText(cell, moment(one.started, home.now)) },
      { name: "ran", kind: "number", put: (cell, one) => setText(cell, one.started !== null && one.ended !== null ? span(one.ended - one.started) : "") },
      { name: "worker", put: (cell, one) => putText(cell, one.worker ?? "") },
      { name: "error", kind: "wide", put: (cell, one) => putText(cell, one.error ?? "") },
    ], ({ n }) => String(n), "");
    const events = this.events = part(box, "What happened");
    /** @type {Grid<{t: number, type: string, worker: string | null}>} */
    this.happened = new Grid(events.box, "What happened", [
      { name: "when", put: (cell, one) => setText(cell, `${moment(one.t, home.now)}${(one.t % 1).toFixed(3).slice(1)}`) },
      { name: "what", kind: "wide", put: (cell, { type }) => putText(cell, type.replace(/^task-/, "")) },
      { name: "where", put: (cell, { worker }) => putText(cell, worker ?? "") },
    ], ({ t, type }) => `${t} ${type}`, "");
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      this.close();
    });
  }
  /** @param {string} id @param {HTMLElement | null} from */
  open(id, from) {
    if (id !== this.id) {
      this.data = null;
      this.said.show(null);
      this.texts.clear();
      this.body.replaceChildren();
      this.facts.replaceChildren();
      this.attempts.box.hidden = this.events.box.hidden = true;
      this.why.hidden = true;
      setText(this.word, "…");
      putText(this.title, from?.textContent ?? "");
      for (const button of Object.values(this.actions)) button.hidden = true;
    }
    this.id = id;
    this.from = from;
    this.box.hidden = false;
    this.box.scrollTop = 0;
    this.box.focus({ preventScroll: true });
  }
  close() {
    if (this.id === null) return;
    const { from, id } = this;
    this.id = null;
    this.box.hidden = true;
    this.home.closed(id);
    // Its row may have been drawn anew since, or another page be on show.
    const back = from?.getClientRects().length ? from : this.home.linkTo(id);
    back.focus({ preventScroll: true });
  }
  /** @param {CallData} data */
  show(data) {
    if (data.id !== this.id) return;
    this.data = data;
    if (!data.found) {
      setText(this.word, "not known");
      this.why.hidden = false;
      setText(this.why, plain(data.problem) || "Nobody knows this call any more.");
      for (const button of Object.values(this.actions)) this.offer(button, false);
      return;
    }
    setMark(this.mark, data.state);
    putText(this.title, data.task);
    setText(this.word, data.note || wordOf(data.state));
    const elsewhere = ["FAILURE", "REVOKED"].includes(data.state) && !data.note && !data.actions.includes("retry") && !this.home.readonly && data.client;
    const why = plain(data.why ?? data.problem) || (elsewhere ? `It can be run again where it was submitted, in ${oneLine(data.client)}: by its card there, or by retry() of its handle. If that has ended, call the task anew.` : "");
    setText(this.why, why);
    this.why.hidden = !why;
    for (const [action, button] of Object.entries(this.actions)) {
      this.offer(button, data.actions.includes(action) && !this.home.readonly);
    }
    this.showFacts(data);
    this.showTexts(data);
    this.attempts.box.hidden = data.attempts.length < 2;
    this.grid.show(data.attempts);
    this.events.box.hidden = !data.events.length;
    this.happened.show(data.events);
  }
  /** @param {HTMLButtonElement} button @param {boolean} offered */
  offer(button, offered) {
    // One that has just done its work hands the focus on.
    if (!offered && document.activeElement === button) this.box.focus({ preventScroll: true });
    button.hidden = !offered;
  }
  /** @param {CallData} data */
  showFacts(data) {
    const waited = data.queued_at !== null && data.started_at !== null ? span(Math.max(0, data.started_at - data.queued_at)) : "";
    /** @type {[string, string][]} */
    const facts = [
      ["submitted", moment(data.queued_at, data.now)], ["waited", waited], ["ran", this.ran(data)], ["ended", moment(data.ended_at, data.now)],
      ["retries", data.retries ? thousands(data.retries) : ""], ["worker", `${data.worker ?? ""}${data.worker && data.child !== null ? ` #${data.child}` : ""}`], ["queue", data.queue],
      ["from", data.client ?? ""], ["id", data.id],
    ];
    putFacts(this.facts, facts);
  }
  /** @param {CallData} data */
  ran(data) {
    if (data.runtime_s !== null) return span(data.runtime_s);
    return data.state === "STARTED" && data.started_at !== null ? span(Math.round(10 * Math.max(0, data.now - data.started_at)) / 10) : "";
  }
  /** @param {CallData} data */
  showTexts(data) {
    const given = [plain(data.args), plain(data.kwargs)].filter(Boolean).join(", ");
    /** @type {[string, string, [string, string][]][]} */
    const texts = [
      ["Arguments", "", given ? [["", given]] : []],
      ["Error", "", !data.traceback && data.error && !data.note ? [["stderr", plain(data.error)]] : []],
      ["Traceback", "", data.traceback && !data.note ? [["", plain(data.traceback)]] : []],
      ["Result", "", data.result !== null ? [["", plain(data.result)]] : data.result_note ? [["note", plain(data.result_note)]] : []],
      ["Output", "output", data.output.map(({ stream, text }) => [stream, plain(text)])],
    ];
    const shown = texts.filter(([, , pieces]) => pieces.length);
    const nodes = shown.map(([title, tone, pieces]) => {
      let text = this.texts.get(title);
      if (!text) this.texts.set(title, text = new CallText(title, tone));
      text.show(pieces);
      return text.box;
    });
    arrange(this.body, nodes);
  }
  /** @param {Answer} answer */
  retried(answer) { if (answer.ok && answer.id && answer.id !== this.id) this.home.open(answer.id, this.from); }
}

/** One text of a call. It is changed where it changes, so that what is selected in it stays. */
class CallText {
  /** @param {string} title @param {string} tone */
  constructor(title, tone) {
    this.box = make("div", "nbt-part");
    this.tone = tone;
    const head = make("div", "nbt-part-head", this.box);
    make("h3", "", head).textContent = title;
    copyButton("Copy", head, () => this.text.textContent ?? "", `Copy ${title.toLowerCase()}`);
    this.text = ownKeys(make("pre", "nbt-text", this.box));
    this.text.tabIndex = 0;
    this.text.setAttribute("role", "group");
    this.text.setAttribute("aria-label", title);
  }
  /** @param {[stream: string, text: string][]} pieces */
  show(pieces) {
    const atEnd = this.text.scrollTop + this.text.clientHeight >= this.text.scrollHeight - 4, grew = this.text.childNodes.length > 0;
    pieces.forEach(([stream, text], place) => {
      const node = this.text.children[place] ?? make("span", "", this.text);
      /** @type {HTMLElement} */ (node).dataset.stream = stream;
      growText(node, text);
    });
    while (this.text.children.length > pieces.length) this.text.lastElementChild?.remove();
    if (grew && atEnd && this.tone === "output") this.text.scrollTop = this.text.scrollHeight;
  }
}
