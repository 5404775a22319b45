"""Members of a group that are alike, kept as their arguments only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nbtasks.client.batches.parcel import Call
from nbtasks.core.plan import CallRange, Values

from .compiling import Builder, Given, Kind, Left
from .signature import Signature

#: One for all calls without keyword arguments; nobody changes it.
_NO_KWARGS: dict[str, Any] = {}


@dataclass
class Rows:
    """Members of a group that are alike: each a call, or a chain of calls, of the same tasks with the same options.

    Attributes:
        kinds: one for each step.
        columns: for each step the own arguments of all members.
    """

    kinds: tuple[Kind, ...]
    columns: tuple[list[Call], ...] = field(default=())

    def __len__(self) -> int:
        return len(self.columns[0])

    def take_plain(self, one: Signature) -> bool:
        """Take a call without options, if it is like the others: most are, and this costs little."""
        kind = self.kinds[0]
        if type(one) is not Signature or one.options or kind.options or len(self.kinds) > 1:
            return False
        if one.type is not kind.task or one.immutable != kind.immutable:
            return False
        self.columns[0].append((one.args, one.kwargs or _NO_KWARGS))
        return True

    def take(self, kinds: tuple[Kind, ...], row: Iterable[Call]) -> bool:
        """Take a member, if it is like the others; returns whether it is."""
        if len(kinds) != len(self.kinds) or not all(map(Kind.is_like, kinds, self.kinds)):
            return False
        for column, call in zip(self.columns, row, strict=True):
            column.append(call)
        return True

    def each(self) -> Iterator[list[Signature]]:
        """Yield the calls of each member."""
        for row in zip(*self.columns, strict=True):
            yield [
                Signature(kind.task, args, kwargs, kind.options, kind.immutable)
                for kind, (args, kwargs) in zip(self.kinds, row, strict=True)
            ]

    def prepended(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Rows:
        """Return the same with arguments before those of the first step."""
        first = Given(args, kwargs).calls(self.columns[0], self.kinds[0].immutable)
        return Rows(self.kinds, (list(first), *self.columns[1:]))

    def emit(self, builder: Builder, before: Left | None, given: Given) -> Values:
        """Add a node for each step."""
        count = len(self)
        place = builder.calls(self.kinds[0], self.columns[0], before, given)
        for kind, column in zip(self.kinds[1:], self.columns[1:], strict=True):
            place = builder.each(kind, column, place, given.later())
        return (CallRange(place, 0, count),)


def _row_of(one: Signature) -> tuple[tuple[Kind, ...], list[Call]] | None:
    """Return a member as a row; None where it is no call and no chain of calls."""
    steps = one.steps
    if not steps or not all(step.is_plain for step in steps):
        return None
    return tuple(step.kind for step in steps), [(step.args, step.kwargs or _NO_KWARGS) for step in steps]


def packed(tasks: Iterable[Signature]) -> Iterator[Rows | Signature]:
    """Yield members, those in a row that are alike together."""
    rows: Rows | None = None
    for one in tasks:
        if rows is not None and rows.take_plain(one):
            continue
        found = _row_of(one)
        if rows is not None and (found is None or not rows.take(*found)):
            yield rows
            rows = None
        if found is None:
            yield one
        elif rows is None:
            rows = Rows(found[0], tuple([call] for call in found[1]))
    if rows is not None:
        yield rows
