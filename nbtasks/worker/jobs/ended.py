"""What a child has to tell of calls that do not run any more, or were never started."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from nbtasks.core.calloutput import CallOutput
from nbtasks.core.inputs import Input
from nbtasks.core.retrychanges import RetryChanges
from nbtasks.wire.values import BlobPiece

from .job import Job


@dataclass(slots=True)
class Done:
    """One ended attempt."""

    job: Job
    index: int
    state: int
    seconds: float
    payload: bytes
    pieces: list[BlobPiece] | None = None
    #: What it has given out besides its result.
    given: CallOutput | None = None
    #: When it began (monotonic); nan for what was not begun.
    began: float = math.nan


@dataclass
class Again:
    """One attempt that is to be followed by another."""

    job: Job
    index: int
    delay_s: float
    error: str
    given: CallOutput | None = None
    seconds: float = 0.0
    began: float = math.nan
    #: What is other for that one; its arguments, where these are, and their large values.
    changes: RetryChanges | None = None
    payload: bytes = b""
    pieces: list[BlobPiece] = field(default_factory=list)


@dataclass
class PutAside:
    """One call that goes on when others have ended, whose results are its own then."""

    job: Job
    index: int
    inputs: tuple[Input, ...]
    given: CallOutput | None = None
    seconds: float = 0.0
    began: float = math.nan


@dataclass
class Unread:
    """One call that was not started after all: a large argument is gone, and whoever submitted it may have it yet."""

    job: Job
    index: int
    reason: str
    began: float = math.nan


#: How one call ended.
Ended = Done | Again | PutAside | Unread


@dataclass(frozen=True)
class Refused:
    """Calls that are not run, because their entry, or their function, is not what the client has signed."""

    batch: str
    first: int
    count: int
    key_id: str
    reason: str
    #: Nobody is suspected: large values of theirs are not there, and they were not started.
    gone: bool = False
