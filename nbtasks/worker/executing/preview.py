"""What the card of a single call shows of its result: made here, beside the result, and bounded in time and size.

Whoever shows the card then has to run no code of the value's: to rebuild it may open figures, and to ask for its text
may print, raise or never end.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from nbtasks.core.brief import brief
from nbtasks.core.context import CurrentCall
from nbtasks.core.outcome import Outcome
from nbtasks.core.outputs import RichOutput
from nbtasks.core.readable import name_of, text_of
from nbtasks.core.states import FAILURE_CODE, SUCCESS_CODE
from nbtasks.worker.isolation.displays import bounded
from nbtasks.worker.isolation.forms import forms_of, has_rich_forms
from nbtasks.worker.isolation.openfigures import show_figures
from nbtasks.worker.isolation.streams import output_of

from .intime import do_in_time
from .smallpictures import made_small

_MOST_S = 5.0
#: Seconds for all the figures that a call has left open.
_MOST_FIGURES_S = 20.0
#: Characters of a preview that a card shows, and of one that was not asked for.
_MOST_CHARACTERS = 500_000
_MOST_UNASKED = 80_000
#: Of the time that calls run, what may go into previews that were not asked for; and seconds for the first of them.
_SHARE = 0.05
_AT_FIRST_S = 0.2
_MOST_TEXT = 8_000


class Previews:
    """Makes previews of results: of all that a card is sure to show, of others as long as that takes little time."""

    def __init__(self) -> None:
        #: Seconds that went into those that perhaps nobody looks at, and that their calls have run.
        self._spent_s = self._ran_s = 0.0

    def of(self, outcome: Outcome, call: CurrentCall, *, is_shown: bool) -> RichOutput | None:
        """Return a call's result as a notebook shows it; None where that is not made, or not in time.

        What the value prints meanwhile is output of the call.

        Args:
            is_shown: a card shows it. Where none does, only what is made for notebooks is asked how it is shown there:
                a plain ``repr()`` may do anything.
        """
        value = outcome.value
        if is_shown:
            return _preview(value, call, _MOST_CHARACTERS)
        if not has_rich_forms(value):
            return None
        self._ran_s += outcome.seconds
        if self._spent_s > _AT_FIRST_S + _SHARE * self._ran_s:
            return None
        began = time.monotonic()
        shown = _preview(value, call, _MOST_UNASKED)
        self._spent_s += time.monotonic() - began
        return shown


def _preview(value: Any, call: CurrentCall, most: int) -> RichOutput | None:
    made: list[RichOutput] = []
    do_in_time(lambda: _make(value, made, most), call, _MOST_S)
    return made[0] if made else None


def show_left(outcome: Outcome, call: CurrentCall) -> None:
    """Show the figures that a call has left open, as a notebook does at the end of a cell."""
    if outcome.state not in (SUCCESS_CODE, FAILURE_CODE):
        return
    if not do_in_time(lambda: _show_figures(outcome.value), call, _MOST_FIGURES_S):
        output_of(call).write("e", f"figures were left out: to draw them takes over {_MOST_FIGURES_S:g} s\n")


def _show_figures(value: Any) -> None:
    try:
        show_figures(besides=value)
    except Exception as error:
        sys.stderr.write(f"a figure could not be drawn: {name_of(error)}: {text_of(error, 300)}\n")


def _make(value: Any, made: list[RichOutput], most: int) -> None:
    try:
        made.append(_form(value, most))
    except BaseException as error:
        shown = brief(value)
        if type(value).__module__ != "builtins":
            shown = f"<{name_of(value)}: its repr raised {name_of(error)}>"
        made.append(RichOutput({"text/plain": shown}))


def _form(value: Any, most: int) -> RichOutput:
    data, metadata = forms_of(value)
    return bounded(made_small(value, RichOutput(data, metadata), most), most, _MOST_TEXT)
