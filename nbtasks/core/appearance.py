"""The colours and words of states, and how times are said, the same wherever calls are shown."""

from __future__ import annotations

from . import states

#: Stands for SUCCESS where an earlier run has made the result.
REUSED = "REUSED"

#: State -> red, green, blue and alpha (0 to 255); they are seen on light and on dark pages, and black is read on them.
COLOURS: dict[str, tuple[int, int, int, int]] = {
    states.PENDING: (112, 117, 124, 255),
    states.RECEIVED: (112, 117, 124, 255),
    states.STARTED: (66, 135, 204, 255),
    states.RETRY: (222, 160, 52, 255),
    states.SUCCESS: (74, 160, 116, 255),
    states.FAILURE: (211, 75, 66, 255),
    states.REVOKED: (150, 138, 176, 255),
    REUSED: (124, 208, 190, 255),
}

#: State -> what people call it.
WORDS: dict[str, str] = {
    states.PENDING: "waiting",
    states.RECEIVED: "waiting",
    states.STARTED: "running",
    states.RETRY: "to retry",
    states.SUCCESS: "done",
    states.FAILURE: "failed",
    states.REVOKED: "cancelled",
    REUSED: "reused",
}

#: How durations are said: below so many seconds, with so many digits, in one unit or in whole ones of two.
#: The page is told this table, for its clocks go on while the kernel is too busy to send anything.
SPANS: tuple[tuple[float, int, tuple[tuple[str, int], ...]], ...] = (
    (9.995, 2, (("s", 1),)),
    (59.95, 1, (("s", 1),)),
    (3599.5, 0, (("min", 60), ("s", 1))),
    (1e12, 0, (("h", 3600), ("min", 60))),
)


def css(state: str) -> str:
    """Return a state's colour for a style sheet."""
    red, green, blue, alpha = COLOURS[state]
    return f"rgba({red},{green},{blue},{alpha / 255:.3g})"
