"""``%tasks debug``: a call that has failed, once more and here, under the debugger."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbtasks.client.repetition import Repetition, run_again
from nbtasks.core import states
from nbtasks.jupyter.frontend import can_ask

from .flags import OptionError
from .publish import say

if TYPE_CHECKING:
    from nbtasks.client.batches.ledger import Ledger


def debug(shell: Any, name: str, find: Callable[[str], Ledger]) -> Any:
    """Run a call again here; returns its result where it does not fail now.

    Args:
        name: ``ID``, ``ID:INDEX`` or the same with the name of a run.
        find: returns the run of an id or a name.

    Raises:
        OptionError: there is no such call.
        ConfigError: its arguments are not known in this process.
    """
    batch, index = _call_of(name, find)
    which = f"{batch.name}({batch.call_label(index)})"
    with run_again(batch, index) as repeated:
        if repeated.error is None:
            say(f"{which} has succeeded here{_differently(batch, index)}. {_with(repeated)}")
            return repeated.value
        if not isinstance(repeated.error, Exception):
            # Stop, or what ends a program.
            raise repeated.error
        say(f"{which}, once more and here. {_with(repeated)}")
        error = repeated.error
        shell.showtraceback((type(error), error, error.__traceback__), tb_offset=0)
        if can_ask(shell):
            shell.debugger(force=True)
        else:
            say(
                "The debugger needs somebody at a keyboard, and nobody watches this run of the notebook. "
                "Open the notebook, run it there, and then `%tasks debug` again."
            )
    return None


def _call_of(name: str, find: Callable[[str], Ledger]) -> tuple[Ledger, int]:
    run, colon, number = name.rpartition(":")
    if not colon or not number.isdigit():
        batch = find(name)
        index = batch.states.find(states.FAILURE_CODE)
        if index < 0 and batch.n > 1:
            raise OptionError(f"no call of {name} has failed; say which one: `%tasks debug {name}:INDEX`")
        return batch, max(0, index)
    batch = find(run)
    if int(number) >= batch.n:
        raise OptionError(f"{run} has {batch.n:,} calls, from :0 to :{batch.n - 1}; there is no :{number}")
    return batch, int(number)


def _differently(batch: Ledger, index: int) -> str:
    failure = batch.failures.get(index)
    if failure is None:
        return ""
    there = f" on {failure.worker}" if failure.worker else ""
    return f", and has failed with {failure.type}{there}: it depends on where, or when, it is run"


def _with(repeated: Repetition) -> str:
    if repeated.is_as_sent:
        return "It ran with its arguments, and with code and modules as they were sent."
    return "It ran with its arguments, and with code and modules as they are now."
