// @ts-check
// Text that leaves the page: copied, or saved as a file.

const SAID_FOR_MS = 1200;

/**
 * A button that copies what `text` returns, and says so.
 * @param {string} what
 * @param {Element} parent
 * @param {() => string} text
 * @param {string} [label]
 */
function copyButton(what, parent, text, label) {
  const button = makeButton("nbt-more nbt-copy", parent, what, async () => {
    const copied = await copyText(text(), button);
    button.textContent = copied ? "Copied" : "Not allowed here: select it and press Ctrl+C";
    setTimeout(() => { button.textContent = what; }, SAID_FOR_MS);
  }, label);
  return button;
}
/** @param {string} text @param {HTMLElement} near where a field may stand for a moment */
async function copyText(text, near) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { /* A page without TLS has no clipboard: it has the old way. */ }
  const field = make("textarea", "nbt-unseen", near.parentElement ?? document.body);
  field.value = text;
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  near.focus();
  return copied;
}
/** @param {Uint8Array} data @param {string} name */
function saveFile(data, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([data.slice().buffer], { type: "text/plain;charset=utf-8" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
