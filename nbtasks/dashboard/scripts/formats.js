// @ts-check
// How numbers, times and texts are said on the pages. Texts are other people's: they are shown as a terminal would leave them.

// eslint-disable-next-line no-control-regex
const ANSI = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])/g;
// eslint-disable-next-line no-control-regex
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f]/g;
const DAY_S = 86400;

/** @param {string | null | undefined} text */
function plain(text) {
  if (!text) return "";
  const lines = text.replace(ANSI, "").replace(/\r\n/g, "\n").split("\n");
  return lines.map((line) => line.replace(/\r+$/, "").split("\r").pop() ?? "").join("\n").replace(CONTROL, "");
}
/** @param {string | null | undefined} text */
const oneLine = (text) => plain(text).replace(/\s+/g, " ").trim();
/** How long something took that may be very short. @param {number | null | undefined} seconds */
function span(seconds) {
  if (seconds === null || seconds === undefined) return "";
  const positive = Math.max(0, seconds);
  if (positive < 0.00995) return positive < 5e-7 ? "0 s" : `${Number((positive * 1000).toPrecision(2))} ms`;
  return clock(positive, TABLES.spans);
}
/** Roughly how long. @param {number} seconds */
function roughly(seconds) {
  for (const [unit, length] of /** @type {[string, number][]} */ ([["d", DAY_S], ["h", 3600], ["min", 60]])) {
    if (seconds >= 2 * length || (seconds >= length && unit !== "min")) return `${Math.round(seconds / length)} ${unit}`;
  }
  return `${Math.max(0, Math.round(seconds))} s`;
}
/** @param {number | null | undefined} at @param {number} now */
const ago = (at, now) => (at === null || at === undefined ? "" : `${roughly(Math.max(0, now - at))} ago`);
/** A moment as short as one understands it. @param {number | null | undefined} at @param {number} now */
function moment(at, now) {
  if (at === null || at === undefined) return "";
  const date = new Date(at * 1000), today = new Date(now * 1000);
  const time = date.toLocaleTimeString("en-GB");
  if (date.toDateString() === today.toDateString()) return time;
  const year = date.getFullYear() === today.getFullYear() ? {} : /** @type {const} */ ({ year: "numeric" });
  return `${date.toLocaleDateString("en-GB", { day: "numeric", month: "short", ...year })} ${time.slice(0, 5)}`;
}
/** @param {number | null | undefined} bytes */
function size(bytes) {
  if (bytes === null || bytes === undefined) return "";
  let amount = bytes;
  for (const unit of ["B", "kB", "MB"]) {
    if (amount < 1000) return `${Number(amount.toPrecision(3))} ${unit}`;
    amount /= 1000;
  }
  return `${Number(amount.toPrecision(3))} GB`;
}
/** @param {number} number @param {string} one @param {string} [many] */
const counted = (number, one, many) => `${thousands(number)} ${number === 1 ? one : many ?? `${one}s`}`;
/** @param {number} perSecond */
const rate = (perSecond) => (perSecond >= 1000 ? thousands(Math.round(perSecond)) : String(Number(perSecond.toPrecision(3))));
/** What tells ids apart is at their end. @param {string} id */
const shortId = (id) => (id.length > 14 ? `…${id.slice(-12)}` : id);
/** @param {string} state */
const wordOf = (state) => TABLES.states.find(({ name }) => name === state)?.word ?? state.toLowerCase();
