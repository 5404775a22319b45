"""How the scripts of widgets come to a page: packed, and run once for all of them."""

from __future__ import annotations

import zlib

import pytest

from nbtasks.jupyter.liveoutput import joined, packed

pytestmark = pytest.mark.browser

LOAD = """async ([loader, widgets]) => {
    const url = URL.createObjectURL(new Blob([loader], {type: 'text/javascript'}));
    const begun = widgets.map(async ([version, hex]) => {
        const packed = new DataView(Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16)).buffer);
        const model = {get: (name) => ({version, packed})[name]};
        // Jupyter imports the loader for each widget.
        const widget = (await import(url)).default();
        try {
            await widget.initialize({model});
            return widget.render({model, el: document.body});
        } catch (problem) { return String(problem); }
    });
    return Promise.all(begun);
}"""
COUNTS = """
export const style = 'body { --dressed: yes }';
globalThis.runs = (globalThis.runs ?? 0) + 1;
export default () => {
  let version;
  return {
    initialize({model}) { version = model.get('version'); },
    render() { return `${version} after ${globalThis.runs}`; },
  };
};
"""


@pytest.fixture
def load(chromium):
    page = chromium.new_page()
    yield lambda widgets: page.evaluate(LOAD, [joined("loading/loader.js"), widgets])
    page.close()


def test_the_scripts_of_many_widgets_run_once_for_each_version(load):
    scripts = zlib.compress(COUNTS.encode()).hex()
    assert load([("a", scripts)] * 5) == ["a after 1"] * 5
    assert load([("b", scripts)]) == ["b after 2"]
    assert load([("a", scripts), ("b", scripts)]) == ["a after 2", "b after 2"]


@pytest.mark.parametrize(
    "broken", [b"", b"no such thing", zlib.compress(COUNTS.encode())[:-20], zlib.compress(b"(")]
)
def test_what_cannot_be_unpacked_is_no_hindrance_to_others(load, broken):
    (problem,) = load([("a", broken.hex())])
    assert "Error" in problem
    assert load([("a", zlib.compress(COUNTS.encode()).hex())]) == ["a after 1"]


def test_the_style_is_there_once_for_each_version(chromium, load):
    scripts = zlib.compress(COUNTS.encode()).hex()
    load([("a", scripts)] * 5)
    load([("b", scripts)] * 2)
    (page,) = chromium.contexts[-1].pages
    dressed = "() => getComputedStyle(document.body).getPropertyValue('--dressed')"
    assert page.evaluate(dressed) == "yes"
    assert page.locator("style[data-nbtasks]").count() == 2


def test_scripts_and_style_travel_as_they_stand():
    script = joined("*.js")
    data, version = packed(script, "body {}")
    assert zlib.decompress(data).decode() == script + '\nexport const style = "body {}";\n'
    assert len(data) < 30_000
    assert len({version, packed(joined("*.js", "panel/*.js"), "body {}")[1], packed(script, "")[1]}) == 3
