"""How states look: colours, words and order, the same live and saved. Pure; the page is told what it needs of this."""

from __future__ import annotations

from dataclasses import dataclass

from nbtasks.core import states


@dataclass(frozen=True)
class StateLook:
    """How calls in one state look."""

    state: str
    #: What a count of them is called.
    word: str
    #: ``#rrggbb`` on a light and on a dark page.
    light: str
    dark: str
    #: Red, green, blue, alpha in a picture that is seen on either; None: as on a light page.
    neutral: tuple[int, int, int, int] | None = None

    @property
    def variable(self) -> str:
        """Return the style sheet's name of its colour."""
        return f"--nbt-{self.state.lower()}"

    @property
    def rgba(self) -> tuple[int, int, int, int]:
        """Return its colour for a page that may be light or dark."""
        red, green, blue = bytes.fromhex(self.light[1:])
        return self.neutral or (red, green, blue, 255)

    @property
    def saved(self) -> str:
        """Return the same for an inline style."""
        return self.light if self.neutral is None else "rgba(128,134,142,.45)"


#: By state code.
LOOKS = (
    StateLook(states.PENDING, "waiting", "#e3e6ea", "#3a4047", (128, 134, 142, 70)),
    StateLook(states.RECEIVED, "waiting", "#cbd2da", "#4d555e", (128, 134, 142, 120)),
    StateLook(states.STARTED, "running", "#4287cc", "#5fa3e6"),
    StateLook(states.RETRY, "to retry", "#dea034", "#e5b252"),
    StateLook(states.SUCCESS, "done", "#4aa074", "#55b487"),
    StateLook(states.FAILURE, "failed", "#d34b42", "#ef6e63"),
    StateLook(states.REVOKED, "revoked", "#968ab0", "#a597c4"),
)
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
)
#: Of the mosaic: side of a cell in pixels, its gap included; that gap; most rows. The last one takes all there are.
LAYOUTS = ((12, 2, 3), (10, 2, 5), (7, 2, 10), (5, 1, 16), (4, 1, 24), (3, 0, 40), (2, 0, 80), (1, 0, 10**9))
MOST_CELLS = 100_000

#: Where a page is dark: in Jupyter, in VS Code, and elsewhere by what the system says.
_DARK = 'body[data-jp-theme-light="false"] .nbt-card, body[data-vscode-theme-kind*="dark"] .nbt-card'
_SYSTEM = "body:not([data-jp-theme-light]):not([data-vscode-theme-kind]) .nbt-card"


def style_sheet() -> str:
    """Return the colours as a style sheet."""
    light = "".join(f"{look.variable}:{look.light};" for look in LOOKS) + "--nbt-failure-ink:#b3362e;"
    dark = "".join(f"{look.variable}:{look.dark};" for look in LOOKS) + "--nbt-failure-ink:#ff9b92;"
    return (
        f".nbt-card {{{light}}}\n{_DARK} {{{dark}}}\n"
        f"@media (prefers-color-scheme: dark) {{ {_SYSTEM} {{{dark}}} }}\n"
    )
