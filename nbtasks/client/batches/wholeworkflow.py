"""All calls of a workflow, read as if they were one run: what its card shows.

There may be a million of them, so what is asked of all goes ledger by ledger.
"""

from __future__ import annotations

import dataclasses
from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

from nbtasks.core import states as st
from nbtasks.core.stopsignal import Terminate

from .displayed import DisplayedOutputs
from .loosecalls import LooseCalls, Place
from .printed import OutputLine, copied
from .reused import Reused
from .steps import step_of

if TYPE_CHECKING:
    from nbtasks.wire.record import Record

    from .ledger import Ledger
    from .steps import SubmittedWorkflow
    from .watchers import Watcher

#: Names that its title has.
_MOST_NAMED = 4


class WholeWorkflow(LooseCalls):
    """The calls of a workflow, step by step, without those that were submitted before it.

    Args:
        workflow: of at least two steps.
    """

    kind = "map"

    def __init__(self, workflow: SubmittedWorkflow) -> None:
        self.workflow = workflow
        #: Place of a step in the plan -> index of its first call here.
        self.firsts: dict[int, int] = {}
        n = 0
        for step in workflow.own_steps:
            self.firsts[step.place] = n
            n += workflow.ledgers[step.place].n
        places = _Places(workflow.own)
        # As the base has it, without a list of all calls.
        super().__init__(places[:1])
        self._places = places  # type: ignore[assignment]
        self._stretches = [
            (ledger, 0, ledger.n, first)
            for ledger, first in zip(workflow.own, self.firsts.values(), strict=True)
        ]
        last = self._last()
        self.id = last.id
        self.created_at = min(ledger.created_at for ledger in workflow.own)
        self.origin = dataclasses.replace(
            last.origin, label=_title(workflow.own), kind="map", single=False, eta_at=None
        )
        self.output = _Output(self)  # type: ignore[assignment]

    def _last(self) -> Ledger:
        """Return the batch that the workflow's result is of."""
        used = [place for place, node in enumerate(self.workflow.plan.nodes) if not node.is_errback]
        found: Ledger = self.workflow.ledgers[used[-1]]
        return found

    @property
    def ledgers(self) -> list[Ledger]:
        """The batch of each step."""
        return list(self.workflow.own)

    @property
    def order(self) -> array[int]:
        """Indexes of those that have ended, step by step."""
        found = array("I")
        for ledger, _, _, here in self._stretches:
            found.extend(here + index for index in ledger.ended())
        return found

    @property
    def ended_at(self) -> float | None:
        """When the last one has ended; None before that."""
        ends: list[float] = [ledger.ended_at for ledger in self.workflow.own if ledger.ended_at is not None]
        if len(ends) < len(self.workflow.own):
            return None if self.problem is None else self.created_at
        return max(ends)

    @property
    def problem(self) -> Exception | None:
        """Why nobody will tell how they end, where that is so of all."""
        problems = [ledger.problem for ledger in self.workflow.own]
        return problems[0] if all(problems) else None

    def counts(self) -> dict[str, int]:
        """Return the number of calls in each state, by name."""
        counts = dict.fromkeys(st.NAMES, 0)
        for ledger in self.workflow.own:
            for name, count in ledger.counts().items():
                counts[name] += count
        return counts

    @property
    def run_seconds(self) -> float:
        """Seconds that they ran together."""
        return float(sum(ledger.run_seconds for ledger in self.workflow.own))

    def item_label(self, index: int) -> str:
        """Return the step and the arguments of a call in short."""
        ledger, own = self._places[index]
        return f"{short_name(ledger)} {ledger.item_label(own)}".strip()

    def known_records(self) -> list[tuple[Record, int, int]]:
        """Return every record, with the (first, count) that it counts for."""
        return [
            (_moved(record, here), here + first, count)
            for ledger, _, _, here in self._stretches
            for record, first, count in ledger.known_records()
        ]

    def watch(self) -> Any:
        """Return a view of what changes from now on."""
        return _Watcher([(ledger.watch(), here) for ledger, _, _, here in self._stretches])

    def revoke(self, terminate: Terminate = True, index: int = -1, how: str = "revoked") -> None:
        """Revoke the workflow, or one of its calls and what waits for that."""
        if index >= 0:
            super().revoke(terminate, index, how)
            return
        for ledger in self.workflow.own:
            ledger.revoked.how = how
        last = self._last()
        last.engine.revoke_workflow(last, terminate)  # type: ignore[attr-defined]

    def retry_failed(self, index: int | None = None) -> None:
        """Submit what has failed again, or one call, and what ended with that."""
        if index is not None:
            super().retry_failed(index)
            return
        workflow, last = self.workflow, self._last()
        last.engine.retry_steps(workflow, {one.place: range(one.node.count) for one in workflow.own_steps})  # type: ignore[attr-defined]

    def why_pending(self) -> str | None:
        """Say in one sentence why nothing happens; None where there is no reason to worry."""
        for step in self.workflow.own_steps:
            ledger = self.workflow.ledgers[step.place]
            if not ledger.done and not step.is_waiting:
                said: str | None = ledger.why_pending()
                return said
        return None


def shown_run(batch: Ledger) -> Any:
    """Return what the card of a batch shows: the whole workflow that it is a step of, or that batch.

    As long as it is not drawn, nobody asks: so it costs nothing to submit a workflow.
    """
    step = step_of(batch)
    if step is None or len(step.workflow.own) < 2 or step.node.earlier:
        return batch
    workflow = step.workflow
    if workflow.shown is None:
        workflow.shown = WholeWorkflow(workflow)
    return workflow.shown


def short_name(ledger: Ledger) -> str:
    """Return what a step is called: its label, or its task without the module."""
    return ledger.label or ledger.name.rpartition(".")[2]


def _title(ledgers: Sequence[Ledger]) -> str:
    names = list(dict.fromkeys(map(short_name, ledgers)))
    return " → ".join(names if len(names) <= _MOST_NAMED else [*names[: _MOST_NAMED - 2], "…", names[-1]])


def _moved(record: Record, by: int) -> Record:
    """Return a record as one of calls that are counted from elsewhere."""
    made = dataclasses.replace(
        record,
        first=record.first + by,
        given={index + by: given for index, given in record.given.items()},
    )
    made.ahead_s = record.ahead_s
    return made


class _Places(Sequence[Place]):
    """Where each call is kept, found when it is asked for."""

    def __init__(self, ledgers: Sequence[Ledger]) -> None:
        self._ledgers = ledgers

    def __len__(self) -> int:
        return sum(ledger.n for ledger in self._ledgers)

    @overload
    def __getitem__(self, index: int) -> Place: ...

    @overload
    def __getitem__(self, index: slice) -> list[Place]: ...

    def __getitem__(self, index: int | slice) -> Place | list[Place]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        left = index
        for ledger in self._ledgers:
            if 0 <= left < ledger.n:
                return ledger, left
            left -= ledger.n
        raise IndexError(index)


class _Watcher:
    """One reader's view of what has changed."""

    def __init__(self, watchers: Sequence[tuple[Watcher, int]]) -> None:
        self._watchers = watchers

    def take(self) -> list[tuple[int, int]]:
        """Return the (first, count) of what has changed since the last look."""
        return [(here + first, count) for watcher, here in self._watchers for first, count in watcher.take()]

    def close(self) -> None:
        """Stop watching."""
        for watcher, _ in self._watchers:
            watcher.close()


class _Output:
    """What the calls give out besides results."""

    def __init__(self, whole: WholeWorkflow) -> None:
        self._whole = whole
        self.displays = DisplayedOutputs()
        self.reused = Reused()

    @property
    def bars(self) -> Any:
        """By call, the bars that it has on show, or has left."""
        return self._whole.each(lambda ledger: ledger.output.bars)

    def __iter__(self) -> Iterator[OutputLine]:
        for ledger, _, _, here in self._whole._stretches:
            for line in copied(ledger.output):
                yield dataclasses.replace(line, index=here + line.index)
