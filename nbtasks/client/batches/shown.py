"""What can be shown of how a call has ended, without running code of others than Python's and numpy's."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from nbtasks.core import states as st
from nbtasks.core.brief import brief
from nbtasks.core.outputs import RichOutput
from nbtasks.wire.errors import failures
from nbtasks.wire.knownvalues import load_known

from .printed import copied

if TYPE_CHECKING:
    from .loosecalls import Run


def which_call(batch: Run, index: int) -> str:
    """Return how a call is named beside others: by its item, or by its number where nobody knows that here."""
    return batch.item_label(index) or f"#{index:,}"


def numbered_call(batch: Run, index: int) -> str:
    """Return the same with the call's place among the handles of its map: ``n=17 (index 17)``."""
    label = batch.item_label(index)
    return f"{label} (index {index})" if label else f"the call of index {index}"


def shown_value(batch: Run, index: int, most: int | None = None) -> RichOutput | None:
    """Return the value of a call in the forms that can be shown; None where there are none.

    Args:
        most: characters of the text, where it was not made on the worker; None: one short line.
    """
    found = batch.record(index)
    if found is None or batch.states[index] != st.SUCCESS_CODE:
        return None
    given = found[0].given.get(index)
    if given is not None and given.preview is not None:
        return given.preview
    with contextlib.suppress(ValueError):
        value = load_known(found[1])
        return RichOutput({"text/plain": brief(value) if most is None else brief(value, most)})
    return None


def shown_output(batch: Run, index: int) -> list[tuple[str, str]]:
    """Return what a call has printed, as far as it is known, as (stdout or stderr, text) of each piece."""
    found = batch.record(index)
    if found is None:
        lines = [line for line in copied(batch.output) if line.index == index]
        return [(line.stream, line.text) for line in lines]
    given = found[0].given.get(index)
    parts = () if given is None else given.parts
    return [("stderr" if stream == "e" else "stdout", text) for stream, text in parts]


def shown_error(batch: Run, index: int) -> str:
    """Return the traceback of a call that has not succeeded, or else its message; empty where there is neither."""
    found = batch.record(index)
    if found is None or batch.states[index] == st.SUCCESS_CODE or not len(found[1]):
        return ""
    failure = failures.unpack(found[1])
    return failure.text or f"{failure.type_name}: {failure.message}"
