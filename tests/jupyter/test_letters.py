"""What stands in the large squares of few calls, and how small ones are filled."""

import pytest

from nbtasks.core import states
from nbtasks.core.appearance import COLOURS, REUSED
from nbtasks.core.stencils import drawn_out, stencil
from nbtasks.jupyter.card.letters import letters_of


@pytest.mark.parametrize(
    ("labels", "letters"),
    [
        (["n=17", "n=18"], ("17", "18")),
        (["n=10", "n=11", "n=112"], ("10", "11", "112")),
        (["url='https://example.org/page/1'", "url='https://example.org/page/22'"], ("1", "22")),
        (["name='Ada'", "name='Grace'"], ("Ada", "Grace")),
        (["n=1"], ("1",)),
        (["a='x', b=0", "a='y', b=10"], ("x, 0", "y, 10")),
        (["a=1, b=20", "a=1, b=21"], ("20", "21")),
        (["n='same'", "n='same'"], ("same", "same")),
        (["'abc'", "'abc def'"], ("abc", "abc d")),
        (["", ""], ("0", "1")),
        ([], ()),
        (["n=<img src=x>", "n=\u05e9\u05dc\u05d5\u05dd"], ("img s", "\u05e9\u05dc\u05d5\u05dd")),
    ],
)
def test_a_square_bears_the_letters_where_items_begin_to_differ(labels, letters):
    assert letters_of(labels) == letters


SHAPED = [
    states.PENDING,
    states.STARTED,
    states.RETRY,
    states.SUCCESS,
    states.FAILURE,
    states.REVOKED,
    REUSED,
]


@pytest.mark.parametrize("width", [1, 2, 7, 10, 11, 400])
def test_bars_of_the_timeline_are_told_apart_without_their_colours(width):
    # No bar waits, and none was reused.
    bars = {drawn_out(stencil(state, 10), width) for state in SHAPED[1:-1]}
    assert len(bars) == len(SHAPED) - 2
    assert all(len(bar) == 10 and max(bar) < 1 << width for bar in bars)


@pytest.mark.parametrize("side", [10, 8, 5, 4])
def test_states_are_told_apart_without_their_colours(side):
    shapes = {stencil(state, side) for state in SHAPED}
    assert len(shapes) == len(SHAPED)
    assert all(len(shape) == side and max(shape) < 1 << side for shape in shapes)


def luminance(red, green, blue):
    parts = [part / 255 for part in (red, green, blue)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    light, dark = sorted((luminance(*one[:3]), luminance(*other[:3])), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("ground", [(255, 255, 255), (17, 17, 17), (33, 33, 33)])
def test_what_waits_is_seen_on_light_and_dark_pages(ground):
    assert contrast(COLOURS[states.PENDING], ground) >= 3


def test_letters_are_read_on_the_colour_of_each_state():
    for state in (states.STARTED, states.RETRY, states.SUCCESS, states.FAILURE, states.REVOKED, REUSED):
        assert contrast(COLOURS[state], (0, 0, 0)) >= 4.5, state
