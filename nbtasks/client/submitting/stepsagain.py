"""Steps of a workflow are submitted again, as a workflow of their own: what becomes of them counts in the first one.

What had succeeded is not run again: its values are taken from where they are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbtasks.client import observers
from nbtasks.client.batches.mending import Mending
from nbtasks.client.batches.parcel import Parcel
from nbtasks.client.definition import as_it_is_now
from nbtasks.core import awaited
from nbtasks.core.awaited import Places
from nbtasks.core.errors import ConfigError
from nbtasks.core.plan import ERROR_KINDS, CallRange, Edge, Node, Plan, Values

from .chosen import Chosen
from .dispatch import RETRYING, ledger_of, packer_of
from .earlier import Earlier
from .workflows import NodeCalls, check_calls, edges_of_handles

if TYPE_CHECKING:
    from nbtasks.client.batches.engine import Engine
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.client.batches.steps import SubmittedWorkflow

#: Calls of a part of which each has an edge of its own: all of these edges travel with each of its chunks.
_MOST_OWN_EDGES = 100


@dataclass
class _Part:
    """Calls of a step that are one batch now.

    Attributes:
        place: of the step.
        indexes: of its calls.
        follows: the part whose calls they follow one by one; None where each edge names its own call.
    """

    place: int
    indexes: list[int]
    follows: int | None = None


class StepsAgain:
    """One submit of steps that are run again.

    Args:
        chosen: which calls.
    """

    def __init__(self, engine: Engine, workflow: SubmittedWorkflow, chosen: Chosen) -> None:
        self._engine = engine
        self._workflow = workflow
        self._chosen = chosen
        self._nodes = workflow.plan.nodes
        self._earlier = Earlier(engine)
        self._parts: list[_Part] = []
        #: By step: index of a call -> its part, and its index there.
        self._where: dict[int, dict[int, tuple[int, int]]] = {}
        for step in workflow.own_steps:
            for part in self._parts_of(step.place, chosen.of(step.place)):
                here = self._where.setdefault(part.place, {})
                here.update({index: (len(self._parts), own) for own, index in enumerate(part.indexes)})
                self._parts.append(part)

    def _parts_of(self, place: int, indexes: list[int]) -> list[_Part]:
        before = self._nodes[place].each_of
        if before is None or not indexes:
            return [_Part(place, indexes)] if indexes else []
        parts, left = [], set(indexes)
        for number, part in enumerate(self._parts):
            if part.place == before and left.issuperset(part.indexes):
                parts.append(_Part(place, part.indexes, number))
                left.difference_update(part.indexes)
        rest = sorted(left)
        starts = range(0, len(rest), _MOST_OWN_EDGES)
        return [*parts, *(_Part(place, rest[start : start + _MOST_OWN_EDGES]) for start in starts)]

    def submit(self) -> list[Ledger]:
        """Submit them; returns the batches of the workflow that are open again."""
        packed = [self._packed(part) for part in self._parts]
        handed = [
            edges_of_handles(self._earlier, NodeCalls(parcel.task, parcel.calls, {}), places)
            for _, parcel, _, places in packed
        ]
        # Once to know all that was there before, which comes first in a plan.
        for part in self._parts:
            self._edges(part, 0)
        by = len(self._earlier.ledgers)
        nodes = [Node(max(1, ledger.n), earlier=True) for ledger in self._earlier.ledgers]
        for part, more, (_, parcel, _, _) in zip(self._parts, handed, packed, strict=True):
            node = Node(len(part.indexes), (*self._edges(part, by), *more))
            check_calls(parcel.task, node, parcel.calls)
            nodes.append(node)
        last = len(nodes) - 1
        plan = Plan(tuple(nodes), (CallRange(last, 0, nodes[last].count),), of_many=True)
        repairs = [
            Mending(self._workflow.ledgers[part.place], part.indexes, batch)
            for part, (batch, *_) in zip(self._parts, packed, strict=True)
            if part.place not in self._chosen.touched or self._chosen.mended(part.place) == part.indexes
        ]
        if any(node.ins for node in nodes):
            self._engine.submit_workflow(plan, [one[:3] for one in packed], earlier=self._earlier.ledgers)
        else:
            for batch, parcel, payloads, _ in packed:
                self._engine.submit(batch, parcel, payloads)
        # Not before: had they not been submitted, the calls would still be what they were.
        for repair in repairs:
            repair.begin()
        return list(dict.fromkeys(repair.batch for repair in repairs))

    def _packed(self, part: _Part) -> tuple[Ledger, Parcel, list[bytes], Places]:
        before = self._workflow.ledgers[part.place]
        parcel = before.parcel
        if parcel is None:
            raise ConfigError(
                f"the arguments of {before.name} ({before.id}) are not known in this process; submit the workflow anew"
            )
        header = dataclasses.replace(parcel.options.header, single=False, task_id="", preview=False)
        options = dataclasses.replace(
            parcel.options,
            header=header,
            label=f"{before.title} (again)",
            delay_s=parcel.options.delay_s if self._waits(part) else 0.0,
            plain=False,
            quiet=True,
        )
        options = self._engine.checked(options)
        task, calls = as_it_is_now(parcel.task), [parcel.calls[one] for one in part.indexes]
        packer, places = packer_of(self._engine, task, options), Places()
        with awaited.noted(places):
            payloads = list(packer.payloads(calls))
        again = Parcel(task, options, calls)
        again.blobs, again.needs = packer.pieces, packer.needs
        return (
            ledger_of(self._engine, again, len(calls), "map", before.origin.on_error),
            again,
            payloads,
            places,
        )

    def _waits(self, part: _Part) -> bool:
        """Whether calls wait for others that run again."""
        needed = self._chosen.shared(part.place)
        if part.follows is None:
            needed += [one for index in part.indexes for one in self._chosen.own(part.place, index)]
        return part.follows is not None or any(
            index in self._where.get(one.node, ())
            for one in needed
            for index in range(one.first, one.first + one.count)
        )

    # -- what they need

    def _edges(self, part: _Part, by: int) -> list[Edge]:
        """Return what a part needs.

        Args:
            by: how many nodes come before its own ones.
        """
        edges: list[Edge] = []
        for edge in self._nodes[part.place].ins:
            if edge.placed:
                # Their handles lie among the arguments, and are found there again.
                continue
            if not edge.each:
                edges += self._shared_edge(part, edge, by)
            elif part.follows is not None:
                of = CallRange(by + part.follows, 0, len(part.indexes))
                edges.append(Edge(edge.kind, (of,), each=True))
            else:
                before = self._nodes[part.place].each_of
                assert before is not None
                for own, index in enumerate(part.indexes):
                    only = ((own, 1),) if len(part.indexes) > 1 else ()
                    edges.append(Edge(edge.kind, tuple(self._at(before, index, 1, by)), only=only))
        return edges

    def _shared_edge(self, part: _Part, edge: Edge, by: int) -> list[Edge]:
        of = self._mapped(edge.of, by)
        if edge.kind in ERROR_KINDS and part.place in self._chosen.touched:
            # What has failed and does not run again was told already.
            of = tuple(one for one in of if isinstance(one, CallRange) and (not by or one.node >= by))
        return [dataclasses.replace(edge, of=of, only=())]

    def _mapped(self, values: Values, by: int) -> Values:
        found: list[CallRange | Values] = []
        for part in values:
            if isinstance(part, CallRange):
                found += self._at(part.node, part.first, part.count, by)
            else:
                found.append(self._mapped(part, by))
        return tuple(found)

    def _at(self, place: int, first: int, count: int, by: int) -> list[CallRange]:
        """Return where calls of a step are now: in parts of it, or still where they were."""
        again, ledger = self._where.get(place, {}), self._workflow.ledgers[place]
        if not again and ledger.repairs is None:
            return [self._earlier.calls(ledger, first, count)]
        found: list[CallRange] = []
        for index in range(first, first + count):
            if index in again:
                number, own = again[index]
                one = CallRange(by + number, own)
            else:
                one = self._earlier.calls(ledger, index, 1)
            last = found[-1] if found else None
            if last is not None and last.node == one.node and last.first + last.count == one.first:
                found[-1] = CallRange(last.node, last.first, last.count + 1)
            else:
                found.append(one)
        return found


def retry_steps(engine: Engine, workflow: SubmittedWorkflow, asked: Mapping[int, Iterable[int]]) -> None:
    """Submit calls of a workflow again that failed or were revoked, and what has ended with them.

    Args:
        asked: place of a step -> indexes of its calls.

    Raises:
        ConfigError: none of them has failed; or what they need is not there any more.
    """
    with RETRYING:
        again = StepsAgain(engine, workflow, Chosen(workflow, asked))
        opened = again.submit()
    for batch in opened:
        observers.reopened(batch)
    engine.registry.announce()
