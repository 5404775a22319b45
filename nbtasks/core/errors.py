"""Every error that nbtasks raises.

NbtasksError
├── ConfigError                  a setting, an option or a file is wrong
│   └── EmbeddedUnavailable      no embedded server on this platform
├── CellError                    a ``%%task`` cell that cannot become a task
├── WorkersError                 local workers did not come up
├── OperationalError             the broker
│   ├── BrokerUnavailable        it cannot be reached
│   ├── BrokerUnsuitable         too old, or it may evict data
│   └── BackPressure             it is full
├── WireError                    bytes
│   ├── SignatureMismatch        not signed by an accepted key, or not what was asked for
│   ├── ValueLost                a large argument or result whose bytes are gone
│   ├── NotPicklable             a value that cannot travel
│   └── PayloadTooLarge          a value over the limit
├── IncompleteStream             ``iterdeps()`` has come to a call that has not ended
├── UnknownCall                  an id that nobody recorded
├── NotRegistered                a worker has no task of the name that it is called by
├── WouldDeadlock                a wait that would never end: for the last free slot, or for a lock that is held already
├── TimeoutError                 waiting took too long (the call itself goes on)
├── CallError                    one call ended badly; carries ``call_id``
│   ├── TaskError                stands in for an exception that cannot be rebuilt here
│   ├── TaskRevokedError
│   │   └── NotNeeded            what was to run after a failure, and there was none
│   ├── ChordError               a call was to get the results of others, and one of them has failed
│   ├── TimeLimitExceeded
│   ├── SoftTimeLimitExceeded
│   ├── WorkerLostError
│   ├── LockLost                 a lock was lost while it was needed
│   └── MaxRetriesExceededError
├── Retry                        control flow: raised by ``self.retry()``
├── Ignore                       control flow: the task wants no result of this call
└── Reject                       control flow: the task does not want this call
"""

from __future__ import annotations

import builtins
import pickle
from collections.abc import Callable
from typing import Any, ClassVar


class NbtasksError(Exception):
    """Root of every error of nbtasks."""


class ConfigError(NbtasksError):
    """A setting, an option or a file is wrong; the message says which and what to write instead."""


class EmbeddedUnavailable(ConfigError):
    """The embedded server has no build for this platform; the message names the choices."""


class CellError(NbtasksError):
    """The source of a ``%%task`` cell cannot become a task."""


class WorkersError(NbtasksError):
    """Local workers did not come up.

    Attributes:
        log_tail: the last lines that the worker process wrote.
    """

    def __init__(self, message: str, log_tail: str = "") -> None:
        super().__init__(message)
        self.log_tail = log_tail

    def __str__(self) -> str:
        message = str(self.args[0])
        return f"{message}\n{self.log_tail}" if self.log_tail else message


class OperationalError(NbtasksError):
    """The broker could not do its part."""


class BrokerUnavailable(OperationalError):
    """The broker cannot be reached."""


class BrokerUnsuitable(OperationalError):
    """The broker is too old, or its settings would lose data."""


class BackPressure(OperationalError):
    """The broker has no room for more calls at the moment."""


class WireError(NbtasksError):
    """Bytes that cannot be made or cannot be trusted."""


class SignatureMismatch(WireError):
    """A record is not signed by an accepted key, or is not the record that was asked for."""


class ValueLost(WireError):
    """The bytes of a large argument or result are gone: a file or a key was removed, has expired, or was not saved."""


class NotPicklable(WireError, pickle.PicklingError):
    """A value cannot travel to a worker, or back.

    Attributes:
        path: where the value was found, for example ``clean.<globals>['lock']``.
    """

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class PayloadTooLarge(WireError):
    """A value is over the size limit."""


class IncompleteStream(NbtasksError):
    """``iterdeps()`` has come to a call that has not ended."""


class UnknownCall(NbtasksError):
    """Nobody recorded a call under this id, or its time is over."""


class NotRegistered(NbtasksError):
    """A worker has no task of the name that it is called by."""


class WouldDeadlock(NbtasksError):
    """Waiting here would never end: it would hold the last free worker slot, or what is waited for is held already."""


class TimeoutError(NbtasksError, builtins.TimeoutError):
    """Waiting took longer than asked; the call itself goes on."""


class CallError(NbtasksError):
    """One call ended without a result.

    Attributes:
        call_id: the call's id, ``<batch>`` or ``<batch>:<index>``; empty where it is not known yet.
    """

    def __init__(self, message: str = "", call_id: str = "") -> None:
        super().__init__(message)
        self.call_id = call_id

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.call_id)


class TaskError(CallError):
    """A task raised an exception that cannot be rebuilt here.

    Attributes:
        type_name: the class name of the original exception.
        traceback_text: the worker's traceback.
    """

    def __init__(
        self, message: str = "", call_id: str = "", type_name: str = "", traceback_text: str = ""
    ) -> None:
        super().__init__(message, call_id)
        self.type_name = type_name
        self.traceback_text = traceback_text

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.call_id, self.type_name, self.traceback_text)


class TaskRevokedError(CallError):
    """The call was revoked, or expired before a worker could start it."""

    @classmethod
    def expired(cls, rate_limit: str | None, *, locked: bool = False) -> TaskRevokedError:
        """Return what a call ends with that was not started in time.

        Args:
            rate_limit: of its task.
            locked: whether its task waits for locks, or for its turn.
        """
        why = "no worker was free"
        if rate_limit is not None:
            why = f"the rate limit of {rate_limit} did not let it start"
        elif locked:
            why = "no worker was free, or others held what it waits for (locks=, max_concurrency=),"
        return cls(f"expired: {why} before its time was over")


class NotNeeded(TaskRevokedError):
    """The call was to run if others before it fail, and they have succeeded."""


class ChordError(CallError):
    """The call was to get the results of several others, and one of them has failed; ``__cause__`` is its exception.

    Attributes:
        failed_id: the id of the call that has failed.
        members: the calls whose results it was to get, in order: batch, index of the first, number, and whether the
            batch is one call and has its id.
    """

    #: Returns the handles of members; the root names here who makes them.
    handles: ClassVar[list[Callable[[Any], Any]]] = []

    def __init__(
        self,
        message: str = "",
        call_id: str = "",
        failed_id: str = "",
        members: tuple[tuple[str, int, int, bool], ...] = (),
    ) -> None:
        super().__init__(message, call_id)
        self.failed_id = failed_id
        self.members = members

    @property
    def results(self) -> Any:
        """The handles of the members, as a ``GroupResult``: also in a task that is told of the error."""
        return self.handles[0](self.members) if self.members and self.handles else None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.call_id, self.failed_id, self.members)


def origin_of(error: BaseException) -> BaseException:
    """Return what has happened first: of a ChordError its cause, as in Celery's ``get()``; else the error itself."""
    while isinstance(error, ChordError) and error.__cause__ is not None:
        error = error.__cause__
    return error


class TimeLimitExceeded(CallError):
    """The call ran longer than its time limit and was stopped."""


class SoftTimeLimitExceeded(CallError):
    """Raised inside a task at its soft time limit, so that it can clean up."""


class WorkerLostError(CallError):
    """The process that ran the call died."""


class LockLost(CallError):
    """A lock was lost while it was needed: somebody else may have it now.

    It is raised in the call that holds the lock, which runs again when it has it again; or where a client's block with
    the lock ends.
    """


class MaxRetriesExceededError(CallError):
    """``self.retry()`` was called and no retry was left."""


class Retry(NbtasksError):
    """Raised by ``self.retry()``: end this attempt and run the call again later. Tasks may raise it themselves.

    Args:
        exc: Celery's word for ``cause``.
        when: Celery's word for ``countdown``: seconds, or a moment.

    Attributes:
        countdown: seconds until the next attempt, or None for the task's own delay.
        cause: the exception that made the task retry, if any.
        max_retries: overrides the task's own limit for this call.
        changes: what is other for the next attempt, a nexttry.RetryChanges, or None.
    """

    def __init__(
        self,
        message: str = "",
        countdown: Any = None,
        cause: Any = None,
        max_retries: int | None = None,
        *,
        exc: BaseException | None = None,
        when: Any = None,
    ) -> None:
        super().__init__(message or "retry")
        if isinstance(countdown, BaseException):
            # By position, as in Celery: the exception, and then when.
            exc, when, cause, countdown = countdown, when if when is not None else cause, None, None
        self.countdown = countdown if when is None else when
        self.cause = cause if exc is None else exc
        self.max_retries = max_retries
        self.changes: Any = None


class Ignore(NbtasksError):
    """Raised by a task that wants no result of this call: it ends REVOKED.

    After ``self.update_state("FAILURE", meta)`` or ``("SUCCESS", meta)`` it ends like that.
    """


class Reject(NbtasksError):
    """Raised by a task that does not want this call: it ends REVOKED, or is queued again.

    Attributes:
        reason: why, for people.
        requeue: the call is run again after the task's retry delay; that uses up no retry.
    """

    def __init__(self, reason: object = None, requeue: bool = False) -> None:
        super().__init__("rejected" if reason is None else str(reason))
        self.reason = reason
        self.requeue = requeue
