"""What is to be submitted: sent at once by whoever submits now and then, else by a thread, with what piled up.

Flushes are numbered, so a flush whose fate is unknown is sent again under its number and applied once.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from nbtasks.broker.brokererrors import FlushGap, FunctionMissing
from nbtasks.broker.verbs.flush import Flush
from nbtasks.broker.verbs.submission import Submission
from nbtasks.core.backoff import Backoff
from nbtasks.core.errors import BackPressure, BrokerUnavailable, ConfigError, NbtasksError, OperationalError
from nbtasks.core.ids import new_id

_FLUSH_BYTES = 512 * 1024
_FLUSH_ITEMS = 500
#: Calls to submit wait here; a producer that is faster than the broker is held up.
_MOST_BYTES = 64 * 2**20
#: Seconds that a submit waits for a broker that was lost.
PATIENCE_S = 2.5
_BACK_PRESSURE_S = 30.0
_BETWEEN_TRIES = Backoff(0.02, 0.5)
#: Who submits again sooner than this, or sooner than it took to send, is in a loop: the thread then sends what piles
#: up together. A server that answers late makes a loop of nothing that comes later than the second number.
_QUIET_S = 0.000_25
_MOST_QUIET_S = 0.02
#: Seconds after which a claim was surely left: more than the broker's timeouts allow it.
_CLAIM_S = 15.0
#: Seconds that a flush may still take when everything is closed under it.
_LAST_WORD_S = 0.5
#: Larger items are left to the thread.
_AT_ONCE_BYTES = 64 * 1024


@dataclass(eq=False)
class Item:
    """Operations that go together; of this class itself there are none, and the flush is empty.

    Attributes:
        digest, frame: the function that they need.
        batch, firsts: the batch that is submitted with it for the first time, and the first calls of its chunks; None
            for all of them.
    """

    digest: str = ""
    frame: bytes = b""
    size: int = 0
    batch: str = ""
    firsts: frozenset[int] | None = None
    #: The broker may have applied it, whether it has said so or not.
    tried: bool = False
    #: The how manyth it is that was put.
    place: int = 0

    def write(self, flush: Flush, function: bytes) -> None:
        """Add the operations to a flush; perhaps not for the first time.

        Args:
            function: the frame of what they need, or empty bytes where the broker has it.
        """

    def fail(self, error: Exception) -> None:
        """Be told that the operations can never be applied."""


@dataclass(eq=False)
class _Claim:
    """A flush that the thread which submitted it sends itself.

    An interrupt may take that thread away at any point; then others must be able to tell, and to go on.
    """

    thread: int
    number: int
    items: list[Item]
    at: float = field(default_factory=time.monotonic)


@dataclass
class _State:
    items: deque[Item] = field(default_factory=deque)
    #: A flush that was tried and whose fate is unknown: it goes first, unchanged.
    begun: list[Item] = field(default_factory=list)
    bytes: int = 0
    #: What the outbox's own thread sends.
    sending: list[Item] = field(default_factory=list)
    #: Another thread does.
    claim: _Claim | None = None
    problem: OperationalError | None = None
    closed: bool = False


class GapMender(Protocol):
    """Sees that what the broker has lost comes into the outbox again."""

    def broker_lost(self, unsent: Sequence[Item]) -> None:
        """The broker has lost flushes, and a new session has begun; ``unsent`` it surely never had."""


class Outbox:
    """Sends items in order, in numbered flushes.

    Attributes:
        session: the id under which they are numbered, and events come back; another one when the broker has lost some.
        mender: told of that before anything is sent.
    """

    mender: GapMender

    def __init__(self, submission: Submission) -> None:
        self._submission = submission
        self.session = new_id()
        self._state = _State()
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        #: There is something for the thread to do: it is not woken for less, least of all by every single call.
        self._work = threading.Condition(lock)
        self._number = 0
        #: How many items were put so far, and how many of them are settled; they are settled in their order.
        self._taken = self._settled = 0
        self._shipped: set[str] = set()
        self._put_at = 0.0
        self._quiet_s = _QUIET_S
        self._thread = threading.Thread(target=self._loop, name="nbtasks-outbox", daemon=True)
        self._thread.start()

    def put(self, item: Item, follows: bool = False) -> None:
        """Send an item soon.

        Args:
            follows: it is a part of something whose beginning was taken, so it is taken in any case.

        Raises:
            BrokerUnavailable: the broker was lost and has not come back in time; the item is not sent.
            BackPressure: the broker does not take calls as fast as they are submitted.
            ConfigError: the outbox was closed.
        """
        self.put_together([item], item.size, follows)

    def put_together(self, items: list[Item], size: int, follows: bool = False) -> None:
        """Send items soon, in one flush where they fit into one: all of them are applied then, or none.

        Args:
            size: bytes of all of them.

        Raises:
            BrokerUnavailable, BackPressure, ConfigError: as :meth:`put`; none of them is sent.
        """
        claim = None
        with self._changed:
            if items[0].batch and self._state.closed:
                raise ConfigError("the App was closed while this was submitted; make a new one")
            if not follows and threading.current_thread() is not self._thread:
                self._wait_for_room(size)
            for item in items:
                self._taken = item.place = self._taken + 1
            if size <= _AT_ONCE_BYTES and self._is_quiet():
                claim = self._state.claim = _Claim(threading.get_ident(), self._number + 1, items)
            else:
                self._state.items.extend(items)
                self._state.bytes += size
                self._work.notify()
        if claim is not None:
            self._send_at_once(claim)
        self._put_at = time.monotonic()
        if claim is not None:
            self._quiet_s = min(max(_QUIET_S, self._put_at - claim.at), _MOST_QUIET_S)

    def extend(self, item: Item, add: Callable[[], int]) -> int | None:
        """Call ``add()``, which makes an item larger, if that item is the last in line; returns what it returns."""
        state = self._state
        with self._changed:
            if not state.items or state.items[-1] is not item or state.problem is not None:
                return None
            before = item.size
            added = add()
            state.bytes += item.size - before
        self._put_at = time.monotonic()
        return added

    @property
    def quiet(self) -> bool:
        """Whether an item that is put now would be sent at once."""
        with self._changed:
            return self._is_quiet()

    def note_wait(self) -> None:
        """Somebody waits for results: what is submitted next is not part of a loop of submits."""
        self._put_at = 0.0

    @property
    def number(self) -> int:
        """Number of the last flush that the broker has confirmed."""
        return self._number

    @property
    def problem(self) -> OperationalError | None:
        """Why the broker takes nothing at the moment; None where it does."""
        return self._state.problem

    def forget(self, digest: str) -> None:
        """Send a function's record along with the next item that needs it."""
        self._shipped.discard(digest)

    def probe(self) -> None:
        """Send an empty flush: the answer tells whether the broker still has the earlier ones."""
        self.put(Item())

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until everything is sent."""
        with self._changed:
            self._take_over_what_was_left()
            return self._changed.wait_for(self._is_empty, timeout)

    def flush_so_far(self, timeout: float) -> bool:
        """Wait until everything is sent that was put before this; more may come all the time."""
        with self._changed:
            self._take_over_what_was_left()
            taken = self._taken
            return self._changed.wait_for(lambda: self._has_settled(taken), timeout)

    def await_place(self, place: int, timeout: float) -> bool:
        """Wait until the item at a place is settled, as long as the broker answers; returns whether it is."""
        # Who asks for one id after another is in no loop of submits.
        self._put_at = 0.0
        if self._settled >= place:
            return True
        state = self._state
        with self._changed:
            self._take_over_what_was_left()
            self._changed.wait_for(
                lambda: self._has_settled(place) or state.problem is not None or state.closed, timeout
            )
            return self._settled >= place

    def _has_settled(self, taken: int) -> bool:
        if self._is_empty():
            # An interrupt may have taken a thread away before its item was put.
            self._settled = self._taken
        return self._settled >= taken

    def hand_over(self, patience_s: float) -> bool:
        """Wait until everything is sent, or until the broker has taken nothing for so many seconds."""
        settled = self._settled
        while not self.flush(patience_s):
            if settled == self._settled:
                return False
            settled = self._settled
        return True

    def close(self) -> None:
        """Stop; what is not sent stays here."""
        with self._changed:
            self._state.closed = True
            self._changed.notify_all()
            self._work.notify()

    @property
    def trouble(self) -> str:
        """Why the broker has not taken what was tried last; empty where it has."""
        return str(self._state.problem or "")

    def give_up(self, error: Exception) -> None:
        """Fail everything that a closed outbox still has."""
        state = self._state
        with self._changed:
            self._changed.wait_for(lambda: not (state.sending or state.claim), _LAST_WORD_S)
            claimed = state.claim.items if state.claim is not None else []
            items = [*claimed, *state.sending, *state.begun, *state.items]
            state.begun = []
            state.items.clear()
        self._fail(items, error)

    def _is_empty(self) -> bool:
        state = self._state
        return not (state.items or state.begun or state.sending or state.claim)

    def _is_quiet(self) -> bool:
        self._take_over_what_was_left()
        if not self._is_empty() or self._state.problem is not None or self._state.closed:
            return False
        return time.monotonic() - self._put_at > self._quiet_s

    def _wait_for_room(self, size: int) -> None:
        state, began = self._state, time.monotonic()
        while (problem := state.problem) is not None and not state.closed:
            full = isinstance(problem, BackPressure)
            left = began + (_BACK_PRESSURE_S if full else PATIENCE_S) - time.monotonic()
            if left <= 0:
                raise (BackPressure if full else BrokerUnavailable)(str(problem)) from problem
            self._changed.wait(min(left, 0.25))
        deadline = time.monotonic() + _BACK_PRESSURE_S
        while state.bytes + size > _MOST_BYTES and state.items and not state.closed:
            left = deadline - time.monotonic()
            if left <= 0:
                raise BackPressure(
                    "the broker does not take calls as fast as they are submitted; submit fewer at a time"
                )
            self._changed.wait(min(left, 0.25))

    def _send_at_once(self, claim: _Claim) -> None:
        """Send on the caller's thread; what does not work at the first try is left to the outbox's own."""
        settled = False
        try:
            settled = self._try(claim.items, eager=True)
        except (FlushGap, FunctionMissing, BackPressure):
            settled = False
        finally:
            with self._changed:
                self._end_claim(claim, settled)

    def _end_claim(self, claim: _Claim, settled: bool) -> None:
        if self._state.claim is claim:
            self._state.claim = None
            # The broker has it, whatever came after.
            confirmed = self._number >= claim.number
            self._state.begun = [] if settled or confirmed else claim.items
            self._settled += 0 if self._state.begun else len(claim.items)
            self._changed.notify_all()
            if self._state.begun or self._state.items:
                self._work.notify()

    def _take_over_what_was_left(self) -> None:
        """End a claim whose thread was interrupted in the middle: it is here again, or has been away for too long."""
        claim = self._state.claim
        if claim is None:
            return
        if claim.thread == threading.get_ident() or time.monotonic() - claim.at > _CLAIM_S:
            self._end_claim(claim, settled=False)

    # -- the thread

    def _loop(self) -> None:
        while True:
            items = self._wait_for_items()
            if items is None:
                return
            ended = True
            try:
                ended = self._send(items)
            except Exception as error:
                # This thread must live: everything that is submitted later goes through it.
                self._fail(items, error)
            with self._changed:
                self._state.sending = []
                if ended:
                    self._settled += len(items)
                else:
                    self._state.begun = items
                self._changed.notify_all()
            # While it waits for more, nothing is kept alive here that has been sent.
            del items

    def _wait_for_items(self) -> list[Item] | None:
        """Return what is to be sent next; None when the outbox was closed."""
        state = self._state
        with self._changed:
            while not state.closed and (state.claim or not (state.items or state.begun)):
                self._work.wait(_CLAIM_S if state.claim else None)
                self._take_over_what_was_left()
            if state.closed:
                return None
            items, state.begun = state.begun or self._next_items(), []
            state.sending = items
            return items

    def _next_items(self) -> list[Item]:
        items: list[Item] = []
        size = 0
        waiting = self._state.items
        while waiting and len(items) < _FLUSH_ITEMS and (not items or size + waiting[0].size <= _FLUSH_BYTES):
            items.append(waiting.popleft())
            size += items[-1].size
        self._state.bytes -= size
        return items

    def _send(self, items: list[Item]) -> bool:
        """Send, again and again; returns whether it came to an end, good or bad, before the outbox was closed."""
        tries, held_since = 0, time.monotonic()
        while not self._state.closed:
            try:
                if self._try(items):
                    return True
            except FlushGap:
                self._start_over(items)
                return True
            except BackPressure as error:
                if time.monotonic() - held_since > _BACK_PRESSURE_S:
                    self._fail(items, error)
                    self._set_problem(None)
                    return True
                self._set_problem(error)
            except FunctionMissing:
                continue
            tries += 1
            time.sleep(_BETWEEN_TRIES.after(tries))
        return False

    def _try(self, items: list[Item], eager: bool = False) -> bool:
        """Send a flush; returns whether it is settled, by success or for good by failure.

        Args:
            eager: somebody waits for it.

        Raises:
            FlushGap, FunctionMissing, BackPressure: nothing was applied.
        """
        composed, before = self._composed(items), [item.tried for item in items]
        for item in items:
            item.tried = True
        try:
            self._submission.submit(self.session, self._number + 1, composed, eager)
        except (FunctionMissing, FlushGap, BackPressure) as error:
            for item, tried in zip(items, before, strict=True):
                item.tried = tried
            if isinstance(error, FunctionMissing):
                self._shipped.discard(error.digest)
            raise
        except BrokerUnavailable as error:
            self._set_problem(error)
            return False
        except (NbtasksError, ValueError) as error:
            self._fail(items, error)
            return True
        self._number += 1
        self._shipped.update(item.digest for item in items)
        self._set_problem(None)
        return True

    def _composed(self, items: list[Item]) -> Flush:
        flush = Flush()
        sent_here: set[str] = set()
        for item in items:
            known = item.digest in self._shipped or item.digest in sent_here
            item.write(flush, b"" if known else item.frame)
            sent_here.add(item.digest)
        return flush

    def _start_over(self, items: list[Item]) -> None:
        """The broker was emptied or restored: a new session sends everything again that it has lost.

        What waits here is part of that: a batch knows its chunks before they are put in.

        Args:
            items: what was to be sent just now.
        """
        with self._changed:
            waiting = list(self._state.items)
            self._state.items.clear()
            self._state.bytes = 0
            self._settled += len(waiting)
        for item in waiting:
            # Calls that shared a batch get their chunks when they are written.
            item.write(Flush(), b"")
        self._number = 0
        self._shipped.clear()
        self._set_problem(None)
        self.session = new_id()
        self.mender.broker_lost([item for item in (*items, *waiting) if not item.tried])

    def _fail(self, items: list[Item], error: Exception) -> None:
        for item in items:
            item.fail(error)

    def _set_problem(self, error: OperationalError | None) -> None:
        if self._state.problem is not error:
            with self._changed:
                self._state.problem = error
                self._changed.notify_all()
