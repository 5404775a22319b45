"""What a work is: one thing to measure, the same for every peer that can do it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, ClassVar

from benchmarks.peers.base import Peer
from benchmarks.setting import Setting

#: Counts that a map is run with: the largest that a peer does in TARGET_S seconds.
LEVELS = (100, 1_000, 10_000, 100_000)
TARGET_S = 5.0


class WrongResults(Exception):
    """A peer has given back something else than it should."""


@dataclass
class Measured:
    """One figure, and what belongs to it.

    Attributes:
        value: the figure, in the work's unit.
        calls: how many calls it is drawn from.
        cpu: role -> CPU seconds in the measured time.
        details: other figures, for the JSON file.
    """

    value: float
    calls: int
    cpu: dict[str, float] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict:
        return asdict(self)


class Span:
    """A measured time: wall-clock seconds, and CPU seconds by role."""

    seconds = 0.0
    cpu: dict[str, float]


class Work:
    """One thing to measure."""

    name: ClassVar[str]
    title: ClassVar[str]
    unit: ClassVar[str]
    higher_is_better: ClassVar[bool] = True
    #: The kind of slots that it needs.
    pool: ClassVar[str] = "process"
    #: Peers that have neither that kind nor coroutines do it with one slot in each process.
    or_processes: ClassVar[bool] = False
    children: ClassVar[int] = 2
    workers: ClassVar[int] = 1
    arrays: ClassVar[bool] = False
    uneven: ClassVar[bool] = False
    single: ClassVar[bool] = False
    #: The cell starts the peer, and waits for all its worker processes before the measurement.
    starts: ClassVar[bool] = True
    warm: ClassVar[bool] = True
    #: Only these peers; empty: all that can.
    only: ClassVar[tuple[str, ...]] = ()
    #: Seconds for one cell, start and stop included.
    limit_s: ClassVar[float] = 150.0

    def suits(self, peer: type[Peer]) -> bool:
        """Whether a peer can do this."""
        if self.only:
            return peer.name in self.only
        instead = self.or_processes and "async" not in peer.pools
        return peer.name != "by_hand" and (self.pool in peer.pools or instead)

    def setting(self, peer: type[Peer], **server: str) -> Setting:
        """Return what is asked of a peer for this work."""
        pool = self.pool if self.pool in peer.pools else "process"
        return Setting(self.children, self.workers, pool, self.arrays, self.uneven, self.single, **server)

    def measure(self, peer: Peer, meter: Any, quick: bool) -> Measured:
        """Measure; ``meter.span()`` is the context manager around the measured time."""
        raise NotImplementedError


def check(expected: list, results: list) -> None:
    """Compare results, in order.

    Raises:
        WrongResults: they are not what they should be.
    """
    if results != expected:
        wrong = [i for i, (a, b) in enumerate(zip(expected, results, strict=False)) if a != b]
        raise WrongResults(f"{len(results)} results for {len(expected)} calls, {len(wrong)} of them wrong")


def choose_count(run: Callable[[int], None], target_s: float, most: int) -> int:
    """Return the largest of LEVELS up to ``most`` that ``run(n)`` is likely to do in ``target_s`` seconds.

    Small runs, each ten times the one before, warm the peer up and tell its rate.
    """
    chosen = LEVELS[0]
    for level, following in pairwise(LEVELS):
        chosen = level
        if level >= most:
            break
        begun = time.perf_counter()
        run(level)
        if (time.perf_counter() - begun) * following / level > target_s:
            break
        chosen = following
    return min(chosen, most)
