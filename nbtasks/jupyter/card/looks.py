"""How states look: colours, words and order, the same live and saved. Pure; the page is told what it needs of this."""

from __future__ import annotations

from dataclasses import dataclass

from nbtasks.core import states
from nbtasks.core.appearance import COLOURS, REUSED, WORDS, css


@dataclass(frozen=True)
class StateLook:
    """How calls in one state look."""

    state: str

    @property
    def word(self) -> str:
        """Return what they are called."""
        return WORDS[self.state]

    @property
    def variable(self) -> str:
        """Return the style sheet's name of its colour."""
        return f"--nbt-{self.state.lower()}"

    @property
    def rgba(self) -> tuple[int, int, int, int]:
        """Return its colour, for light and dark pages: a saved card does not know its page."""
        return COLOURS[self.state]

    @property
    def css(self) -> str:
        """Return its colour for a style sheet."""
        return css(self.state)


#: By state code, and by one of the mosaic's own.
LOOKS = tuple(StateLook(state) for state in (*states.NAMES, REUSED))
REUSED_CODE = len(states.NAMES)
LOOK_OF = {look.state: look for look in LOOKS}
#: The order of counts, and of the parts of the bar; what waits comes last and is the bar's ground.
PARTS = tuple(
    LOOK_OF[state] for state in (states.SUCCESS, states.FAILURE, states.REVOKED, states.STARTED, states.RETRY)
)
#: Which state a pixel shows when it stands for several calls: the first of these that is among them.
LOUDEST = (
    states.FAILURE_CODE,
    states.RETRY_CODE,
    states.STARTED_CODE,
    states.REVOKED_CODE,
    states.RECEIVED_CODE,
    states.PENDING_CODE,
    states.SUCCESS_CODE,
    REUSED_CODE,
)
#: Of the mosaic: side of a cell in pixels, its gap included; that gap; most rows. The last one takes all there are.
LAYOUTS = ((12, 2, 3), (10, 2, 5), (7, 2, 10), (5, 1, 16), (4, 1, 24), (3, 0, 40), (2, 0, 80), (1, 0, 10**9))
MOST_CELLS = 100_000
#: Side of the square beside a count, in pixels.
SWATCH = 8


def style_sheet() -> str:
    """Return the colours as a style sheet."""
    return f".nbt-card {{{''.join(f'{look.variable}:{look.css};' for look in LOOKS)}}}\n"
