"""The handle of a group whose calls are not all of one batch."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from nbtasks.client.border import as_own, at_awaited_border, at_border
from nbtasks.client.group import GroupResult
from nbtasks.client.handlewords import revoked, stopping, tell_value, told_meanwhile
from nbtasks.client.result import AsyncResult
from nbtasks.core import states as st
from nbtasks.core.backoff import Backoff
from nbtasks.core.durations import Duration, patience
from nbtasks.core.errors import ConfigError, TimeoutError
from nbtasks.core.ids import new_id

if TYPE_CHECKING:
    from typing_extensions import Self

    from nbtasks.client.batches.ledger import Ledger

R = TypeVar("R")
_BETWEEN_LOOKS = Backoff(0.002, 0.05, factor=1.5)


class SpreadResult(GroupResult[R]):
    """The future results of a group of different tasks, or whose members are groups.

    Args:
        parts: handles, and whether the values of each stand in the group's list; else its list is one of them.
    """

    def __init__(self, parts: Sequence[tuple[AsyncResult[Any] | GroupResult[Any], bool]]) -> None:
        self._id = new_id()
        self._parts = list(parts)
        self._members: list[Any] | None = None
        #: A batch of the workflow whose result it is.
        self.whole: Ledger | None = None

    def __repr__(self) -> str:
        return f"<GroupResult {self.name}: {len(self):,} members, {self.state}>"

    @property
    def id(self) -> str:
        """An id of this handle alone: what is stored are its members."""
        return self._id

    @property
    def name(self) -> str:
        """The names of the tasks."""
        return ", ".join(dict.fromkeys(part.name for part, _ in self._parts))

    @property
    def spans(self) -> list[tuple[AsyncResult[Any] | GroupResult[Any], bool]]:
        """What it is made of, as it was given."""
        return list(self._parts)

    def save(self) -> Self:
        """Have the broker keep which calls it is made of: :meth:`restore` finds it by its id, for 30 days at least."""
        from .saving import save

        save(self)
        return self

    def name_again(self, id: str) -> None:
        """Have it go by the id that it was saved under."""
        self._id = id

    @property
    def parts(self) -> list[AsyncResult[Any] | GroupResult[Any]]:
        """The handles of what it is made of, each of one batch or a group of its own."""
        return [part for part, _ in self._parts]

    @property
    def spread(self) -> list[tuple[AsyncResult[Any] | GroupResult[Any], bool]]:
        """The same, each with whether its values stand in the group's list."""
        return list(self._parts)

    def members(self) -> list[Any]:
        """Return the handle of each value."""
        if self._members is None:
            self._members = [
                one
                for part, is_open in self._parts
                for one in (part if is_open and isinstance(part, GroupResult) else (part,))
            ]
        return self._members

    def __len__(self) -> int:
        return len(self.members())

    def __getitem__(self, index: Any) -> Any:
        return self.members()[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.members())

    # -- where it is

    @property
    def state(self) -> str:
        """The state of the whole: PENDING, STARTED, SUCCESS, FAILURE or REVOKED."""
        states = {part.state for part in self.parts}
        if not self.ready():
            begun = states != {st.PENDING}
            return st.STARTED if begun else st.PENDING
        for state in (st.FAILURE, st.REVOKED):
            if state in states:
                return state
        return st.SUCCESS

    status = state

    def ready(self) -> bool:
        """Whether every call has ended."""
        return all(part.ready() for part in self.parts)

    def waiting(self) -> bool:
        """Whether some call has not ended."""
        return not self.ready()

    def successful(self) -> bool:
        """Whether every call has ended with a result."""
        return all(part.successful() for part in self.parts)

    def failed(self) -> bool:
        """Whether some call has failed."""
        return any(part.failed() for part in self.parts)

    def completed_count(self) -> int:
        """Return the number of members that have ended with a result."""
        return sum(one.successful() for one in self)

    def failed_count(self) -> int:
        """Return the number of members that have failed."""
        return sum(one.failed() for one in self)

    def why_pending(self) -> str | None:
        """Say why calls wait, with what to do; None where none waits."""
        return next((said for part in self.parts if (said := part.why_pending())), None)

    # -- results

    @at_border
    def get(
        self, timeout: Duration | None = None, propagate: bool = True, *, progress: bool = False, **words: Any
    ) -> list[Any]:
        """Wait for all and return the values in order.

        Args:
            timeout: seconds to wait at most; the calls go on.
            propagate: False puts exceptions in the places of the calls that failed; True raises the first of them.
            progress: show meanwhile how far they are.

        Raises:
            TimeoutError: they have not all ended in time.
            KeyboardInterrupt: Stop was pressed; the calls themselves go on.
            Exception: what the first failed call raised.
        """
        if progress:
            self.show()
        most_s = told_meanwhile(self, patience(timeout), words) if words else patience(timeout)
        if not self.until_ready(most_s):
            reason = self.why_pending()
            raise TimeoutError(
                f"{sum(not one.ready() for one in self):,} of {len(self):,} members of the group have not ended after "
                f"{most_s:g} s and go on{f': {reason}' if reason else ''}. "
                "Wait longer, or stop them with revoke(terminate=True)"
            )
        values: list[Any] = []
        for part, is_open in self._parts:
            value: Any = part.get(timeout=0, propagate=propagate)
            values.extend(value if is_open and isinstance(part, GroupResult) else [value])
        for one, value in zip(self, values, strict=True) if words else ():
            tell_value(words, one.id, value)
        return values

    join = wait = join_native = get

    def until_ready(self, timeout: Duration | None = None) -> bool:
        """Wait until all have ended; returns whether they have. Raises nothing of the tasks'."""
        most_s = patience(timeout)
        deadline = None if most_s is None else time.monotonic() + most_s
        for part in self.parts:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not part.until_ready(left):
                return False
        return True

    def _as_completed(self, timeout: float | None) -> Iterator[Any]:
        __tracebackhide__ = True
        deadline = None if timeout is None else time.monotonic() + timeout
        left, looks = self.members(), 0
        while left:
            ended = [one for one in left if one.ready()]
            yield from ended
            left = [one for one in left if not any(one is other for other in ended)]
            if deadline is not None and left and time.monotonic() >= deadline:
                raise as_own(
                    TimeoutError(
                        f"{len(left):,} of {len(self):,} members of the group have not ended after {timeout:g} s"
                    )
                )
            looks = 0 if ended else looks + 1
            if left and not ended:
                left[0].until_ready(_BETWEEN_LOOKS.after(looks))

    def to_frame(self) -> Any:
        """Raise ConfigError: it has no rows of one kind."""
        raise ConfigError("the group is made of several batches: each of result.parts has its own to_frame()")

    def timeline(self) -> Any:
        """Raise ConfigError, likewise."""
        raise ConfigError("the group is made of several batches: each of result.parts has its own timeline()")

    # -- acting

    @at_border
    def show(self) -> None:
        """Show the card of the whole workflow here; where there is none, those of its parts."""
        if self.whole is not None:
            super().show()
            return
        for part in self.parts:
            part.show()

    @at_border
    def revoke(self, terminate: bool = False, **words: Any) -> None:
        """Revoke all calls that have not ended; with ``terminate`` running ones are stopped.

        Where it is the result of a workflow, that is revoked as a whole.
        """
        how = stopping(terminate, words)
        if self.whole is not None:
            self.whole.engine.revoke_workflow(self.whole, how)  # type: ignore[attr-defined]
            if words:
                revoked(self, words)
            return
        for part in self.parts:
            part.revoke(terminate, **{name: words[name] for name in words if name == "signal"})
        if words:
            revoked(self, words)

    @property
    def parent(self) -> Any:
        """The handle of what all of its members wait for in a workflow; None where there is no such thing."""
        lines = [list(_ancestors(part)) for part in self.parts]
        for one in lines[0] if lines else ():
            if all(any(_is_same(one, other) for other in line) for line in lines[1:]):
                return one
        return None

    def _relatives(self) -> Any:
        return (
            self.parts[0]._relatives()
            if self._parts and not isinstance(self.parts[0], SpreadResult)
            else None
        )

    def forget(self) -> None:
        """Drop the results from the broker."""
        for part in self.parts:
            part.forget()

    @at_border
    def retry_failed(self) -> Self:
        """Submit the calls again that failed or were revoked, and what ended with them; returns the handle itself."""
        bad = [part for part in self._flat() if part.ready() and not part.successful()]
        if not bad:
            raise ConfigError("no call of the group has failed")
        together: dict[Any, dict[int, list[int]]] = {}
        for part in bad:
            step = part.batch.parcel.step if part.batch.parcel is not None else None
            if step is not None:
                # Together: what waits for several of them runs once, when all are there.
                calls = together.setdefault(step.workflow, {}).setdefault(step.place, [])
                calls += [part.index] if isinstance(part, AsyncResult) else range(part.batch.n)
            elif isinstance(part, GroupResult):
                part.retry_failed()
            else:
                part.retry()
        for workflow, asked in together.items():
            workflow.ledgers[-1].engine.retry_steps(workflow, asked)
        return self

    def _flat(self) -> Iterator[Any]:
        """Yield the handles of what it is made of, each of one batch."""
        for part in self.parts:
            if isinstance(part, SpreadResult):
                yield from part._flat()
            else:
                yield part

    def then(
        self, callback: Callable[[Self], object], on_error: Callable[[Self], object] | None = None
    ) -> Self:
        """Call ``callback(self)`` when all have succeeded, ``on_error(self)`` when all have ended and some did not."""
        left, lock = [len(self._parts)], threading.Lock()

        def ended(_: Any) -> None:
            with lock:
                left[0] -= 1
                is_last = not left[0]
            if is_last and self.successful():
                callback(self)
            elif is_last and on_error is not None:
                on_error(self)

        for part in self.parts:
            part.then(ended, ended)
        if not self._parts:
            callback(self)
        return self

    @at_awaited_border
    async def _awaited(self) -> list[Any]:
        looks = 0
        while not self.ready():
            looks += 1
            await asyncio.sleep(_BETWEEN_LOOKS.after(looks))
        return self.get(timeout=0)


def _ancestors(handle: Any) -> Iterator[Any]:
    """Yield the parent of a handle, the parent's parent, and so on."""
    while (handle := handle.parent) is not None:
        yield handle


def _is_same(one: Any, other: Any) -> bool:
    """Whether two handles are those of the same calls."""
    if isinstance(one, SpreadResult) and isinstance(other, SpreadResult):
        return len(one.parts) == len(other.parts) and all(map(_is_same, one.parts, other.parts))
    return type(one) is type(other) and bool(one.id == other.id)
