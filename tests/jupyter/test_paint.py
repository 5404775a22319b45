"""ANSI colours of printed lines."""

import pytest

from nbtasks.jupyter.card import saved
from nbtasks.jupyter.card.board import Board
from nbtasks.jupyter.card.paint import painted

from .records import make_batch, succeed


@pytest.mark.parametrize(
    ("text", "plain", "paint"),
    [
        ("plain", "plain", ()),
        ("\x1b[0mreset only", "reset only", ()),
        ("\x1b[32mgreen\x1b[0m.\n", "green.", ((5, "color:#00a250;"), (1, ""))),
        ("\x1b[1;31mbold\x1b[22m red", "bold red", ((4, "color:#b22b31;font-weight:bold;"), (4, "color:#e75c58;"))),
        ("\x1b[38;5;196mx\x1b[38;2;1;2;3my", "xy", ((1, "color:rgb(255,0,0);"), (1, "color:rgb(1,2,3);"))),
        ("\x1b[41m\x1b[103mx", "x", ((1, "background-color:#b27d12;"),)),
        ("\x1b[38;5;244mgrey", "grey", ((4, "color:rgb(128,128,128);"),)),
        ("\x1b[94;3;4mx", "x", ((1, "color:#0065ca;font-style:italic;text-decoration:underline;"),)),
        ("\x1b[38mcut \x1b[38;2;1moff \x1b[999;999999999mx", "cut off x", ()),
        ("\x1b[31m" + "x" * 400, "x" * 299 + "…", ((300, "color:#e75c58;"),)),
    ],
)  # fmt: skip
def test_colours_are_those_of_jupyter(text, plain, paint):
    assert painted(text, 300) == (plain, paint)


def test_a_saved_line_has_its_colours():
    batch = make_batch(1, "call")
    succeed(batch, 0, output="\x1b[35m<b>\x1b[0m\n")
    page = saved.html(Board(batch).fold(1001.0), batch.states)
    assert '<span style="color:#d160c4;">&lt;b&gt;</span>' in page
