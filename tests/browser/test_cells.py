"""A cell that stands for several calls has the same state live and saved."""

from __future__ import annotations

import random

import pytest

from nbtasks.jupyter.card.looks import LOOKS, LOUDEST
from nbtasks.jupyter.card.mosaic import loudest
from nbtasks.jupyter.liveoutput import joined

pytestmark = pytest.mark.browser

CELLS = """([script, cases, loudest]) => {
    const cellsOf = new Function(script + '; return loudestOf;')();
    return cases.map(([codes, step]) => Array.from(cellsOf(Uint8Array.from(codes), step, loudest)));
}"""


def test_the_page_and_the_saved_card_show_the_same_of_several_calls(chromium):
    chance = random.Random(9)
    cases = [
        ([chance.randrange(len(LOOKS)) for _ in range(chance.randrange(1, 300))], chance.randrange(1, 20))
        for _ in range(100)
    ]
    page = chromium.new_page()
    shown = page.evaluate(CELLS, [joined("mosaic.js"), cases, list(LOUDEST)])
    page.close()
    for cells, (codes, step) in zip(shown, cases, strict=True):
        most = -(-len(codes) // step)
        # Both take as few calls together as they can.
        if -(-len(codes) // most) == step:
            assert cells == list(loudest(bytes(codes), most))
