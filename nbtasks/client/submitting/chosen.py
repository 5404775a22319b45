"""Which calls of a workflow run again when failed ones are submitted again: those, and all that ended with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from nbtasks.core import states as st
from nbtasks.core.errors import ConfigError
from nbtasks.core.plan import CallRange, Edge, ranges_of

if TYPE_CHECKING:
    from nbtasks.client.batches.steps import SubmittedWorkflow

_BAD = bytes(code in st.RETRIABLE_CODES for code in range(256))
_FAILED = bytes(code == st.FAILURE_CODE for code in range(256))


class Chosen:
    """Calls of a workflow that run again.

    Args:
        asked: place of a step -> indexes of its calls that somebody wants to have run again.

    Attributes:
        flags: for each step a byte of each of its calls: 1 where it runs again.
        bad: the same, 1 where it has failed or was revoked.
        touched: errbacks, and what comes after them, that are to be told again if it fails again.

    Raises:
        ConfigError: none of them has failed, or one waits for calls outside of the workflow that have.
    """

    def __init__(self, workflow: SubmittedWorkflow, asked: Mapping[int, Iterable[int]]) -> None:
        self._workflow = workflow
        self._nodes = workflow.plan.nodes
        self._aside = _aside(workflow)
        self.bad = [self._bad(place) for place in range(len(self._nodes))]
        self.flags = [bytearray(node.count) for node in self._nodes]
        self.touched: set[int] = set()
        for place, indexes in asked.items():
            for index in indexes:
                self.flags[place][index] = self.bad[place][index]
        if not any(1 in flags for flags in self.flags):
            names = ", ".join(dict.fromkeys(workflow.ledgers[place].name for place in asked))
            raise ConfigError(f"no call of {names} has failed")
        self._bring_what_is_needed()
        self._bring_what_follows()

    def _bad(self, place: int) -> bytes:
        """Return which calls of a step have failed. What runs only after a failure, and was not needed, has not."""
        states = self._workflow.ledgers[place].states
        # More may have been submitted of one that was there before.
        return bytes(states.translate(_FAILED if place in self._aside else _BAD))

    def of(self, place: int) -> list[int]:
        """Return the indexes of those calls of a step that run again."""
        return [index for index, flag in enumerate(self.flags[place]) if flag]

    def mended(self, place: int) -> list[int]:
        """Return those of them that had failed, and whose ends count in the place of the old ones."""
        return [index for index in self.of(place) if self.bad[place][index]]

    def shared(self, place: int) -> list[CallRange]:
        """Return the calls that all calls of a step need."""
        return [part for edge in self._nodes[place].ins if _is_shared(edge) for part in ranges_of(edge.of)]

    def own(self, place: int, index: int) -> Iterator[CallRange]:
        """Yield the calls that one call of a step needs besides."""
        for edge in self._nodes[place].ins:
            if edge.each:
                yield CallRange(next(ranges_of(edge.of)).node, index)
            elif edge.only and any(first <= index < first + count for first, count in edge.only):
                yield from ranges_of(edge.of)

    def _bring_what_is_needed(self) -> None:
        """Have all run again that has failed before one of them: without it they would only fail again."""
        for place in reversed(range(len(self._nodes))):
            if 1 not in self.flags[place] or self._nodes[place].is_errback:
                continue
            for part in self.shared(place):
                self._bring(place, part)
            for index in (
                self.of(place) if any(not _is_shared(edge) for edge in self._nodes[place].ins) else ()
            ):
                for part in self.own(place, index):
                    self._bring(place, part)

    def _bring(self, place: int, part: CallRange) -> None:
        bad = self.bad[part.node][part.first : part.first + part.count]
        if 1 not in bad:
            return
        if self._nodes[part.node].earlier:
            before, own = self._workflow.ledgers[part.node], self._workflow.ledgers[place]
            raise ConfigError(
                f"{own.name} ({own.id}) waits for {before.name} ({before.call_id(part.first + bad.index(1))}), which "
                "was submitted before it and has failed: retry that first, then this"
            )
        flags = self.flags[part.node]
        for index, is_bad in enumerate(bad, part.first):
            flags[index] |= is_bad

    def _bring_what_follows(self) -> None:
        """Have all run again that ended because of one of them, unless something else keeps it from that."""
        for place, node in enumerate(self._nodes):
            if node.earlier or not node.ins:
                continue
            if place in self._aside:
                if any(self._is_again(part) for part in self.shared(place)):
                    self.touched.add(place)
                    self.flags[place][:] = b"\1" * node.count
                continue
            shared = self.shared(place)
            if any(self._keeps_bad(part) for part in shared):
                continue
            is_again = any(self._is_again(part) for part in shared)
            flags, bad = self.flags[place], self.bad[place]
            is_alone = all(_is_shared(edge) for edge in node.ins)
            for index in range(node.count) if not is_alone else ():
                if bad[index] and not flags[index]:
                    own = list(self.own(place, index))
                    again = is_again or any(self._is_again(part) for part in own)
                    flags[index] = again and not any(self._keeps_bad(part) for part in own)
            if is_alone and is_again:
                flags[:] = bytes(map(max, flags, bad))

    def _is_again(self, part: CallRange) -> bool:
        return 1 in self.flags[part.node][part.first : part.first + part.count]

    def _keeps_bad(self, part: CallRange) -> bool:
        span = slice(part.first, part.first + part.count)
        bad, flags = self.bad[part.node][span], self.flags[part.node][span]
        return 1 in bad and any(one and not other for one, other in zip(bad, flags, strict=True))


def _is_shared(edge: Edge) -> bool:
    return not edge.each and not edge.only


def _aside(workflow: SubmittedWorkflow) -> set[int]:
    """Return the errbacks, and all that comes after one."""
    found: set[int] = set()
    for place, node in enumerate(workflow.plan.nodes):
        if node.is_errback or not found.isdisjoint(node.waits_for):
            found.add(place)
    return found
