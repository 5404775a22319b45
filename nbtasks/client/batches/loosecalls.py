"""Calls of one task that were submitted one by one, such as by ``delay()`` in a loop, read as if they were one run.

It is read as a ledger is, and holds nothing but where each of its calls is kept: every question goes there.
"""

from __future__ import annotations

import dataclasses
import math
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from nbtasks.client.batches.displayed import DisplayedOutputs
from nbtasks.client.batches.printed import OutputLine, copied
from nbtasks.client.batches.reused import Reused
from nbtasks.core import states as st
from nbtasks.core.errors import ConfigError

if TYPE_CHECKING:
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.client.batches.seen import Failure, Progress, Running
    from nbtasks.client.batches.tries import Attempt
    from nbtasks.core.progressbar import ProgressBar
    from nbtasks.core.stopsignal import Terminate
    from nbtasks.wire.record import Record

#: Where a call is kept: its ledger, and its index there.
Place: TypeAlias = "tuple[Ledger, int]"
#: What stands in one row of a list of runs.
Run: TypeAlias = "Ledger | LooseCalls"


class LooseCalls:
    """Some calls, at least one, in the order in which they were submitted.

    Args:
        places: where each is kept; no call twice.
    """

    #: Not ``map``: it has no id by which it could be found again.
    kind = "calls"
    growing = False
    repairs = None

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = list(places)
        #: Calls that are neighbours here and in their ledger: ledger, its first index, how many, the first index here.
        self._stretches = _stretches(places)
        first = places[0][0]
        self.id = first.id
        self.origin = dataclasses.replace(first.origin, kind="map", single=False, eta_at=None)
        self.created_at = min(ledger.created_at for ledger, _ in places)
        self.tries = _Tries(self)
        self.output = _Output(self)

    @property
    def ledgers(self) -> list[Ledger]:
        """The ledgers in which the calls are kept, each once."""
        return list({ledger.id: ledger for ledger, _ in self._places}.values())

    def at(self, index: int) -> Place:
        """Return where a call is kept."""
        return self._places[index]

    # -- what it is

    @property
    def name(self) -> str:
        """The task's name."""
        return self.origin.name

    @property
    def title(self) -> str:
        """What it is called."""
        return self.origin.label or self.origin.name

    @property
    def queue(self) -> str:
        """The queue that the first call was sent to."""
        return self.origin.queue

    @property
    def is_many(self) -> bool:
        """Whether its calls are to be told apart."""
        return self.n > 1

    @property
    def n(self) -> int:
        """Number of calls."""
        return len(self._places)

    @property
    def parcel(self) -> _Parcel | None:
        """What the calls were submitted with; None where this process has not submitted them all."""
        return _Parcel(self) if all(ledger.parcel is not None for ledger in self.ledgers) else None

    # -- reading

    @property
    def states(self) -> bytearray:
        """A state code for each call."""
        codes = bytearray()
        for ledger, first, count, _ in self._stretches:
            part = ledger.states[first : first + count]
            # Nobody will tell how the rest of it ends.
            codes += part if ledger.problem is None else bytes(map(_ended, part))
        return codes

    @property
    def finished_count(self) -> int:
        """Calls that have ended."""
        return sum(map(self.states.count, range(st.FIRST_READY_CODE, len(st.NAMES))))

    @property
    def order(self) -> array[int]:
        """Indexes of those that have ended."""
        return array("I", (n for n, code in enumerate(self.states) if code >= st.FIRST_READY_CODE))

    @property
    def done(self) -> bool:
        """Whether every call has ended."""
        return self.finished_count >= self.n

    all_ended = done

    @property
    def ended_at(self) -> float | None:
        """When the last one has ended; None before that."""
        if not self.done:
            return None
        heard = [self.heard_at(index) for index in range(self.n)]
        return max((moment for moment in heard if moment is not None), default=self.created_at)

    @property
    def problem(self) -> Exception | None:
        """Why nobody will tell how they end, where that is so of all."""
        problems = [ledger.problem for ledger, _ in self._places]
        return problems[0] if all(problems) else None

    def counts(self) -> dict[str, int]:
        """Return the number of calls in each state, by name."""
        counts = dict.fromkeys(st.NAMES, 0)
        running = self.running
        for index, code in enumerate(self.states):
            runs = code < st.STARTED_CODE and index in running
            counts[st.STARTED if runs else st.NAMES[code]] += 1
        return counts

    @property
    def failed_count(self) -> int:
        """Calls that have failed."""
        return self.states.count(st.FAILURE_CODE)

    @property
    def revoked_count(self) -> int:
        """Calls that were revoked."""
        return self.states.count(st.REVOKED_CODE)

    @property
    def run_seconds(self) -> float:
        """Seconds that they ran together."""
        return sum(float(record.seconds[0]) for record, _, _ in self.known_records())

    @property
    def running(self) -> dict[int, Running]:
        """Those that run."""
        return self.each(lambda ledger: ledger.running)

    @property
    def progress(self) -> dict[int, Progress]:
        """How far those are that have told it."""
        return self.each(lambda ledger: ledger.progress)

    @property
    def failures(self) -> dict[int, Failure]:
        """Those that have failed, as far as details are kept."""
        found: dict[int, Failure] = self.each(lambda ledger: ledger.failures)
        return {index: dataclasses.replace(failure, index=index) for index, failure in found.items()}

    def each(self, known: Callable[[Ledger], Mapping[int, Any]]) -> dict[int, Any]:
        """Return what ledgers know of some of their calls, by index here."""
        found: dict[int, Any] = {}
        for ledger, first, count, here in self._stretches:
            of_ledger = known(ledger)
            if of_ledger:
                for own, value in list(of_ledger.items()):
                    if first <= own < first + count:
                        found[here + own - first] = value
        return found

    def state(self, index: int) -> str:
        """Return the name of a call's state."""
        return st.NAMES[self.states[index]]

    def call_id(self, index: int) -> str:
        """Return a call's id."""
        ledger, own = self._places[index]
        return ledger.call_id(own)

    def call_label(self, index: int) -> str:
        """Return the arguments of a call in short."""
        ledger, own = self._places[index]
        return ledger.call_label(own)

    def item_label(self, index: int) -> str:
        """Return the same with names, where they are known."""
        ledger, own = self._places[index]
        return ledger.item_label(own)

    def heard_at(self, index: int) -> float | None:
        """Return when the end of a call was heard of."""
        ledger, own = self._places[index]
        return ledger.heard_at(own)

    def record(self, index: int) -> tuple[Record, Any] | None:
        """Return the record of a call's result, as one that is about nothing else, and its payload."""
        ledger, own = self._places[index]
        found = ledger.record(own)
        if found is None:
            return None
        whole, payload = found
        at = own - whole.first
        given = whole.given.get(own)
        one = dataclasses.replace(
            whole,
            first=index,
            states=whole.states[at : at + 1],
            seconds=[whole.seconds[at]],
            payloads=[payload],
            given={} if given is None else {index: given},
            begun=[whole.begun[at] if whole.told_at is not None else math.nan],
        )
        return one, payload

    def known_records(self) -> list[tuple[Record, int, int]]:
        """Return every record, with the (first, count) that it counts for."""
        found = ((index, self.record(index)) for index in range(self.n))
        return [(record[0], index, 1) for index, record in found if record is not None]

    # -- watching and waiting

    def watch(self) -> LooseWatcher:
        """Return a view of what changes from now on."""
        return LooseWatcher(self)

    def wait_for(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until ``ready()``, which is asked after every change of those that have not ended."""
        open_one = next((ledger for ledger in self.ledgers if not ledger.done), self._places[0][0])
        return open_one.wait_for(ready, timeout)

    def to_be_shown(self) -> LooseCalls:
        """Return itself: others hold the calls."""
        return self

    without_arguments = to_be_shown

    # -- acting

    def revoke(self, terminate: Terminate = True, index: int = -1, how: str = "revoked") -> None:
        """Revoke all calls that have not ended, or one of them; running ones are stopped with ``terminate``."""
        for ledger, own in self._places if index < 0 else [self._places[index]]:
            if ledger.states[own] < st.FIRST_READY_CODE and not ledger.done:
                ledger.revoke(terminate, own, how)

    def why_pending(self) -> str | None:
        """Say in one sentence why nothing happens; None where there is no reason to worry."""
        for ledger, own in self._places:
            if ledger.states[own] < st.FIRST_READY_CODE and not ledger.done:
                return ledger.engine.why_pending(ledger, own)
        return None

    def retry_failed(self, index: int | None = None) -> None:
        """Submit the calls again that have failed or were revoked, or one of them; what becomes of them counts here.

        Raises:
            ConfigError: nothing failed, or another process submitted them.
        """
        meant = self._places if index is None else [self._places[index]]
        bad = [(ledger, own) for ledger, own in meant if ledger.states[own] in st.RETRIABLE_CODES]
        for ledger, own in bad:
            ledger.retry_failed(own)
        if not bad:
            raise ConfigError(f"no call of {self.name} has failed")


def _stretches(places: Sequence[Place]) -> list[tuple[Ledger, int, int, int]]:
    found: list[tuple[Ledger, int, int, int]] = []
    for here, (ledger, own) in enumerate(places):
        if found and found[-1][0] is ledger and own == found[-1][1] + found[-1][2]:
            found[-1] = (*found[-1][:2], found[-1][2] + 1, found[-1][3])
        else:
            found.append((ledger, own, 1, here))
    return found


def _ended(code: int) -> int:
    return code if code >= st.FIRST_READY_CODE else st.FAILURE_CODE


class LooseWatcher:
    """One reader's view of what has changed: states are compared, for single calls have no watcher of their own."""

    def __init__(self, calls: LooseCalls) -> None:
        self._calls = calls
        self._seen = bytes(calls.n)

    def take(self) -> list[tuple[int, int]]:
        """Return the (first, count) of what has changed since the last look."""
        now, before = bytes(self._calls.states), self._seen
        self._seen = now
        return [(index, 1) for index, code in enumerate(now) if code != before[index]]

    def close(self) -> None:
        """Stop watching."""


class _Parcel:
    """What loose calls were submitted with."""

    rate_limit = None
    #: Together they are no step of a workflow.
    step = None

    def __init__(self, calls: LooseCalls) -> None:
        self._calls = calls

    def arguments(self, index: int, most: int) -> list[tuple[str, str]]:
        """Return (name, text) of each argument of a call."""
        ledger, own = self._calls.at(index)
        return [] if ledger.parcel is None else ledger.parcel.arguments(own, most)


class _Tries:
    """Attempts of loose calls."""

    def __init__(self, calls: LooseCalls) -> None:
        self._calls = calls

    @property
    def due(self) -> Mapping[int, float]:
        """Call -> when it is tried again."""
        return self._calls.each(lambda ledger: ledger.tries.due)

    def earlier(self, index: int) -> tuple[Attempt, ...]:
        """Return the attempts of a call that were followed by others."""
        ledger, own = self._calls.at(index)
        return ledger.tries.earlier(own)

    def all(self) -> list[tuple[int, Attempt]]:
        """Return (call, attempt) of all attempts that were followed by others."""
        return [(index, one) for index in range(self._calls.n) for one in self.earlier(index)]


class _Output:
    """What loose calls give out besides results."""

    def __init__(self, calls: LooseCalls) -> None:
        self._calls = calls
        self.displays = DisplayedOutputs()
        self.reused = Reused()

    @property
    def bars(self) -> Mapping[int, list[ProgressBar]]:
        """By call, the bars that it has on show, or has left."""
        return self._calls.each(lambda ledger: ledger.output.bars)

    def __iter__(self) -> Iterator[OutputLine]:
        here = {self._calls.at(index): index for index in range(self._calls.n)}
        for ledger in self._calls.ledgers:
            for line in copied(ledger.output):
                index = here.get((ledger, line.index))
                if index is not None:
                    yield dataclasses.replace(line, index=index)
