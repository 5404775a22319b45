"""The colours and words of states, the same wherever calls are shown: on the card, saved, in timelines."""

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
