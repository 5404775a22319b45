"""The works, in the order of the report. Those of nbtasks alone come last."""

from __future__ import annotations

from .arrays import Arrays, ArraysThroughServer, SharedArray
from .base import Work
from .captured import Captured
from .card import Card
from .compositions import Chain, Chord
from .costs import Costs, IdleChildren
from .first_result import FirstResult
from .idle import Idle
from .kills import KillChild, KillWorker
from .maps import ChunkedMap, Loop, Map
from .million import Million
from .mixed import Mixed
from .onbrokers import FixedLoop, FixedMap, ShortSleeps
from .one_call import OneCall
from .waiting import AsyncFetches, AsyncSleeps, ThreadFetches, ThreadSleeps

ALL: dict[str, Work] = {
    work.name: work
    for work in (
        OneCall(),
        Map(),
        ChunkedMap(),
        Loop(),
        Chain(),
        Chord(),
        Arrays(),
        ThreadSleeps(),
        AsyncSleeps(),
        ThreadFetches(),
        AsyncFetches(),
        FirstResult(),
        Mixed(),
        Idle(),
        ArraysThroughServer(),
        SharedArray(),
        Captured(),
        Costs(),
        IdleChildren(),
        Million(),
        Card(),
    )
}

#: What ``benchmarks.kill9`` does.
FAULTS: dict[str, Work] = {work.name: work for work in (KillChild(), KillWorker())}

#: What ``benchmarks.brokers`` does.
ON_BROKERS: dict[str, Work] = {
    work.name: work for work in (OneCall(), FixedMap(), FixedLoop(), ShortSleeps())
}


def find(name: str) -> Work:
    """Return a work by its name."""
    return {**FAULTS, **ON_BROKERS, **ALL}[name]
