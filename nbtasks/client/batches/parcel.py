"""What was submitted, as long as it can be sent again: function, arguments, large values, signed chunks.

A batch that another process has submitted has none here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbtasks.core.brief import brief
from nbtasks.core.callheader import CallHeader
from nbtasks.core.madeonce import made_once
from nbtasks.core.options import TaskOptions
from nbtasks.wire.modules.manifest import Needs

from .sent import Refusals, Sent

if TYPE_CHECKING:
    from nbtasks.client.definition import Definition
    from nbtasks.wire.values import BlobPiece

    from .steps import WorkflowStep

#: Characters.
_MOST_LABEL = 200

Call = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class CallOptions:
    """What is set for the calls of one submit, over the task's own options."""

    task: TaskOptions
    delay_s: float
    label: str | None
    quiet: bool
    header: CallHeader
    #: Nothing was set: it is one call with the task's own options, and these ask for nothing before it is sent.
    plain: bool = False
    #: No kept results are taken.
    rerun: bool = False
    #: A notebook's cell leaves its earlier run as it is.
    again: bool = False

    @made_once
    def of_many(self) -> CallOptions:
        """The options of one call for a batch of several."""
        header = dataclasses.replace(self.header, single=False, together=True, preview=False)
        return dataclasses.replace(self, header=header)


class Parcel:
    """The calls of one batch on their way to workers.

    Args:
        calls: positional and named arguments of each.

    Attributes:
        function: content hash of the task's function, as it was sent.
        frame: that function as it was sent; empty when all have ended: until then the broker may lose it.
        as_sent: that function as it was packed, a shipping.PackedFunction, until all have succeeded.
        due_ms: when they may start, in ms of the server's time; 0: at once.
        blobs: their large values, until all have ended.
        spent: the same from then on.
        needs: the modules that their arguments may need.
        sent: their chunks, until all have ended.
        sending: some of these are not with the outbox yet.
        place: where the batch stands in the line of what is sent; 0 where it was not put there.
        recorded: the broker knows the batch.
        refusals: how often they were refused.
        step: its place in a workflow; None where it is in none.
    """

    def __init__(self, task: Definition, options: CallOptions, calls: Sequence[Call]) -> None:
        self.task = task
        self.options = options
        self.calls = calls
        self.function = ""
        self.frame = b""
        self.as_sent: Any = None
        self.due_ms = 0
        self.blobs: list[BlobPiece] = []
        self.spent: list[BlobPiece] = []
        self.needs = Needs()
        self.sent: list[Sent] = []
        self.sending = False
        self.place = 0
        self.recorded = False
        self.refusals = Refusals()
        self.step: WorkflowStep | None = None

    @property
    def rate_limit(self) -> str | None:
        """The task's rate limit, such as ``10/s``."""
        return self.options.task.rate_limit

    def label(self, index: int) -> str:
        """Return the arguments of a call in short; no code of theirs runs."""
        if index >= len(self.calls):
            return f"#{index}"
        args, kwargs = self.calls[index]
        parts = [brief(value) for value in args]
        parts += [f"{name}={brief(value)}" for name, value in kwargs.items()]
        return ", ".join(parts)[:_MOST_LABEL]

    def item_label(self, index: int) -> str:
        """Return the same with the names of the parameters that they fill."""
        # What a cell goes through it finds in a parameter of a name like its own: _n fills n.
        named = ((name.strip("_"), value) for name, value in self.arguments(index, _MOST_LABEL))
        return ", ".join(f"{name}={value}" if name else value for name, value in named)[:_MOST_LABEL]

    def arguments(self, index: int, most: int) -> list[tuple[str, str]]:
        """Return (name, value) of each argument of a call, with ``most`` characters or so; none of their code runs."""
        if index >= len(self.calls):
            return []
        args, kwargs = self.calls[index]
        named = [*zip(self.task.parameters(len(args)), args, strict=True), *kwargs.items()]
        return [(name, brief(value, most)) for name, value in named]

    def settle(self, succeeded: bool) -> None:
        """All have ended: nothing is sent again. In a workflow that is so when all of that has ended."""
        if self.step is not None:
            self.step.settle(succeeded)
        else:
            self.let_go(succeeded)

    def let_go(self, succeeded: bool) -> None:
        """Nothing is sent again. Arguments stay, for those who submit the calls anew."""
        if succeeded:
            self.as_sent = None
        self.spent, self.blobs = self.blobs, []
        self.sent, self.frame = [], b""

    def take_spent(self) -> list[BlobPiece]:
        """Return large values that nobody needs any more, once; those of its whole workflow."""
        return self.take_own_spent() if self.step is None else list(self.step.take_spent())

    def take_own_spent(self) -> list[BlobPiece]:
        """Return the same of these calls alone."""
        spent, self.spent = self.spent, []
        return spent
