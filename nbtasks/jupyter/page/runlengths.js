// @ts-check
// The states of all calls as the kernel tells them: card/runlengths.py says how they are written.

const AS_BEFORE = 15, MOST_CALLS = 1e8;

/**
 * The states as they are now.
 * @param {Uint8Array} data what has been told
 * @param {Store["codes"]} before the states as they were; where there are as many calls as then, it is changed in place
 * @param {number} states how many there are
 * @returns {Store["codes"] | null} null for what no kernel tells: then `before` is of no more use
 */
function unpackStates(data, before, states) {
  let at = 0;
  const number = () => {
    for (let value = 0, scale = 1; at < data.length && scale < 2 ** 42; scale *= 128) {
      const byte = data[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    return NaN;
  };
  const calls = number();
  if (!(calls <= MOST_CALLS)) return null;
  let codes = before;
  if (calls !== before.length) {
    codes = new Uint8Array(calls);
    codes.set(before.subarray(0, calls));
  }
  for (let call = 0; at < data.length;) {
    const run = number(), code = run % 16, end = call + Math.floor(run / 16);
    // Not true for NaN either.
    if (!(end > call && end <= calls && (code < states || code === AS_BEFORE))) return null;
    if (code !== AS_BEFORE) codes.fill(code, call, end);
    call = end;
  }
  return codes;
}
