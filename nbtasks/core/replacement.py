"""A call whose place others take, by ``raise self.replace(signature)``: what they give is what it gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from .context import CurrentCall
from .errors import ConfigError, Ignore
from .inputs import Input
from .outcome import Outcome
from .states import RETRY_CODE

#: Has a composition take the place of a call, and raises :class:`Replaced`; set by the package, for that loads what
#: submits it.
replace_by: list[Callable[[CurrentCall, Any], Any]] = []


class Replaced(Ignore):
    """Ends an attempt of a call in the place of which others run.

    Attributes:
        inputs: the calls whose results become the call's own; empty where they have run here.
        ended: how that has ended; None where they are still to run.
        direct: the function was called like any other: it is no call that they replace.
    """

    def __init__(
        self,
        said: str,
        inputs: tuple[Input, ...] = (),
        ended: Outcome | None = None,
        *,
        direct: bool = False,
    ) -> None:
        super().__init__(said)
        self.inputs = inputs
        self.ended = ended
        self.direct = direct

    def outcome(self, seconds: float) -> Outcome:
        """Return how the attempt has ended, or that the call goes on."""
        if self.ended is None:
            return Outcome(RETRY_CODE, None, seconds, self)
        self.ended.seconds = seconds
        return self.ended

    def value(self) -> Any:
        """Return what a function that was called like any other returns.

        Raises:
            BaseException: what took its place has failed; or it is a call that was replaced, which goes on so.
        """
        if not self.direct or self.ended is None:
            raise self
        if self.ended.error is not None:
            raise self.ended.error
        return self.ended.value


def refuse_more_members(task: str) -> NoReturn:
    """Refuse ``self.add_to_chord()``.

    Raises:
        ConfigError: always.
    """
    raise ConfigError(
        f"{task}: self.add_to_chord() is not there: what the body of a chord waits for is fixed when it is submitted. "
        "Let a group take the place of this member, raise self.replace(group(...)): its list is the member's value then"
    )
