// @ts-check
// What the kernel sends to the page, and what the page makes of it. Types only.

/**
 * What the kernel tells once: card.py, tables().
 * @typedef {{
 *   states: {name: string, word: string, colour: string}[], failure: number, loudest: number[],
 *   layouts: [side: number, gap: number, rows: number][], most_cells: number,
 *   stencils: Record<string, number[][]>, lanes: {row: number, bar: number, gap: number},
 *   spans: [below: number, digits: number, units: [name: string, seconds: number][]][],
 * }} Tables
 *
 * What the card says: said.py.
 * @typedef {{state: string, number: string, word: string}} Count
 * @typedef {{parts: [state: string, share: number][], slides: boolean, value: number, most: number, busy: string[]}} Bar
 * @typedef {{
 *   what: string, label: string, far: string, share: number | null, worker: string, started_at: number,
 * }} Row
 * @typedef {{description: string, share: number | null, far: string, depth: number}} BarSaid
 * @typedef {{
 *   call: number, name: string, said: string, state: string, squares: string[], parts: [state: string, share: number][],
 *   path: string, at: number, width: number,
 * }} StepSaid
 * @typedef {{times: string, type: string, message: string, which: string, details: string, open: boolean}} Failure
 * @typedef {{
 *   many: boolean, state: string, shown_state: string, dot: string, done: boolean, stopping: boolean, title: string,
 *   about: string, took: string, created_at: number, bar: Bar, counts: Count[], pace: string, reason: string | null, letters: string[],
 *   newest: string, graph: StepSaid[], in_graph: boolean,
 *   rows: Row[], bars: BarSaid[], retry: string, more_failures: string, hint: string,
 *   attach_hint: string, sentence: string,
 * }} View
 * @typedef {[index: number, stream: string, text: string, paint: [length: number, css: string][], name: string]} Line
 * @typedef {{heights: number[], label: string}} Spark
 * @typedef {{index: number, what: string, text: string, png: string | null}} NewResult
 * @typedef {{html: string | null, png: string | null, text: string | null}} Preview
 *
 * Messages.
 * @typedef {{view?: Partial<View>, failures?: Failure[], output?: Line[], preview?: Preview | null, spark?: Spark | null,
 *   newest?: (NewResult | {index: number})[], now?: number}} Head
 * @typedef {Head & {k: "tick", seq: number, whole: boolean}} Tick
 * @typedef {{k: "label", index: number, text: string}} Label
 * @typedef {{title: string, pieces: [stream: string, text: string][], tone: string}} CallPartSaid
 * @typedef {{
 *   k: "call", index: number, id: string, title: string, state: string, word: string, final: boolean,
 *   facts: [name: string, value: string][], parts: CallPartSaid[], can_retry: boolean, debug: string,
 * }} CallSaid
 * @typedef {{k: "output", name: string}} OutputFile
 * @typedef {[
 *   lane: number, row: number, waits: number | null, begin: number, end: number, code: number, first: number, count: number,
 *   others: [code: number, count: number, height: number][],
 * ]} TimeSpan
 * @typedef {{
 *   k: "timeline", number: number, took: number, from: number, to: number, queued: number, hidden: string, done: boolean,
 *   lanes: [name: string, rows: number][], spans: TimeSpan[], cost_s: number,
 * }} TimelineSaid
 * @typedef {{below: string, place: number, version: number}} BelowMark
 * @typedef {{k: "below", versions: number[], outputs?: {data: object, metadata: {nbtasks: BelowMark}}[]}} BelowSaid
 * @typedef {Tick | BelowSaid | Label | CallSaid | OutputFile | TimelineSaid | {k: "retried"} | {k: "problem", text: string}
 *   | {k: "beat"} | {k: "welcome"} | {k: "still", data: Record<string, string>} | {k: "retire"}} Message
 * @typedef {{
 *   widget_manager?: any, get(name: string): any, on(event: string, callback: Function): void, off(event: string, callback: Function): void,
 *   send(content: object): void, set(name: string, value: any): void, save_changes(): void,
 * }} Model
 */
