"""Signals: what happens to tasks and workers, and who is told. The names and arguments are Celery's.

A receiver is called as ``receiver(signal=, sender=, **named)``. What it raises is logged, and harms nobody. A signal
that has no receivers costs one look at :attr:`Signal.receivers`.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import sys
import threading
import weakref
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import Any, TypeVar, overload

from . import context, warning
from .errors import ConfigError, SoftTimeLimitExceeded
from .interruption import Interrupted
from .readable import name_of

Receiver = Callable[..., Any]
F = TypeVar("F", bound=Receiver)

_log = logging.getLogger("nbtasks.signals")
#: Not empty while a process is prepared for the tasks of an App.
_setting_up: list[bool] = []
#: How to have one in the workers, for messages.
_IN_A_MODULE = (
    "put it into a module that workers import, App(include=[...]) or nbtasks worker -A, or into a function "
    "of @app.worker_setup"
)


@contextlib.contextmanager
def setting_up() -> Iterator[None]:
    """Have what is connected meanwhile stay; the next version of a receiver takes the place of the one before."""
    _setting_up.append(True)
    try:
        yield
    finally:
        _setting_up.pop()


@dataclass(frozen=True)
class _Connected:
    """A receiver, as it was connected."""

    uid: Hashable
    sender: Hashable
    #: Returns the receiver; None where that is gone.
    get: Callable[[], Receiver | None]


class Signal:
    """Something that happens, for those who want to be told.

    Args:
        name: as it is imported.
        gives: the names of what receivers are given besides ``signal`` and ``sender``.
        where: it happens: ``submit``, in the process that submits; ``call``, where a call runs; ``worker``, in workers;
            ``never``.
        instead: where it never happens, what to use.

    Attributes:
        receivers: who is told.
    """

    #: Whether anybody in this process was ever to be told of calls.
    is_of_calls = False

    def __init__(
        self, name: str, gives: tuple[str, ...] = (), where: str = "worker", instead: str = ""
    ) -> None:
        self.name = name
        self.gives = gives
        self.where = where
        self.instead = instead
        self.receivers: tuple[_Connected, ...] = ()
        self._lock = threading.Lock()
        self._complained: set[tuple[Hashable, str]] = set()

    def __repr__(self) -> str:
        return f"<Signal {self.name}({', '.join(self.gives)})>"

    @overload
    def connect(
        self,
        receiver: F,
        /,
        sender: Any = None,
        weak: bool = True,
        dispatch_uid: Hashable = None,
        retry: bool = False,
    ) -> F: ...
    @overload
    def connect(
        self,
        receiver: None = None,
        /,
        sender: Any = None,
        weak: bool = True,
        dispatch_uid: Hashable = None,
        retry: bool = False,
    ) -> Callable[[F], F]: ...
    def connect(
        self,
        receiver: Any = None,
        /,
        sender: Any = None,
        weak: bool = True,
        dispatch_uid: Hashable = None,
        retry: bool = False,
    ) -> Any:
        """Have a function be told: ``signal.connect(function)``, ``@signal.connect``, ``@signal.connect(sender=task)``.

        Args:
            receiver: takes ``**kwargs``, for what may be added.
            sender: only what comes from this one: a task, or its name; or a worker's name.
            weak: a receiver that nobody else holds is told no more. Functions of modules and notebooks are held there.
            dispatch_uid: the same again takes the place of the earlier one.
            retry: as in Celery, where it calls a receiver again that has raised; there is nothing to wait for here.

        Raises:
            ConfigError: it cannot be called like this.
        """
        if receiver is None:
            return lambda function: self.connect(function, sender, weak, dispatch_uid, retry)
        self._check(receiver)
        uid = _uid(receiver) if dispatch_uid is None else dispatch_uid
        # Nobody else holds what a setup function defines.
        weak = weak and not _setting_up
        made = _Connected(uid, _key(sender), _held(receiver, weak, lambda: self._drop(uid)))
        with self._lock:
            others = [one for one in self.receivers if (one.uid, one.sender) != (uid, made.sender)]
            self.receivers = (*others, made)
        if self.where == "call":
            Signal.is_of_calls = True
        return receiver

    def disconnect(
        self, receiver: Receiver | None = None, sender: Any = None, dispatch_uid: Hashable = None
    ) -> bool:
        """Tell a receiver no more; returns whether it was told before."""
        uid = dispatch_uid if dispatch_uid is not None or receiver is None else _uid(receiver)
        gone = (uid, _key(sender))
        with self._lock:
            before = self.receivers
            self.receivers = tuple(one for one in before if (one.uid, one.sender) != gone)
            return len(self.receivers) < len(before)

    def has_listeners(self, sender: Any = None) -> bool:
        """Whether somebody is told of what comes from a sender."""
        return bool(self._receivers_of(sender))

    def send(self, sender: Any = None, **named: Any) -> list[tuple[Receiver, Any]]:
        """Tell everybody; returns each receiver with what it returned, or has raised."""
        told = []
        for uid, receiver in self._receivers_of(sender):
            try:
                answer = receiver(signal=self, sender=sender, **named)
            except (Interrupted, SoftTimeLimitExceeded):
                # It came just now, from outside.
                raise
            except Exception as error:  # noqa: BLE001 - receivers harm nobody
                self._complain(uid, receiver, error)
                answer = error
            told.append((receiver, answer))
        return told

    def _receivers_of(self, sender: Any) -> list[tuple[Hashable, Receiver]]:
        key = _key(sender)
        return [
            (one.uid, receiver)
            for one in self.receivers
            if (one.sender is None or one.sender == key) and (receiver := one.get()) is not None
        ]

    def _drop(self, uid: Hashable) -> None:
        with self._lock:
            self.receivers = tuple(one for one in self.receivers if one.uid != uid)

    def _complain(self, uid: Hashable, receiver: Receiver, error: Exception) -> None:
        """Log an error, once for each receiver and kind: a million calls may have it."""
        if (which := (uid, name_of(error))) in self._complained:
            return
        self._complained.add(which)
        _log.error(
            "signal %s: its receiver %s has raised; more of this kind is not told",
            self.name, getattr(receiver, "__qualname__", type(receiver).__name__), exc_info=error,
        )  # fmt: skip

    def _check(self, receiver: Any) -> None:
        if not callable(receiver):
            raise ConfigError(
                f"{self.name}.connect: {name_of(receiver)} cannot be called; give it a function"
            )
        if not _takes_anything(receiver):
            raise ConfigError(
                f"{self.name}.connect: {getattr(receiver, '__qualname__', name_of(receiver))} must take **kwargs, "
                f"because it is called as (signal=, sender=, {', '.join(f'{name}=' for name in self.gives)})"
            )
        if inspect.iscoroutinefunction(receiver):
            raise ConfigError(
                f"{self.name}.connect: {receiver.__qualname__} is a coroutine function, and nobody awaits what "
                "receivers return: write it with def"
            )
        if self.where == "never":
            warning.warn(f"the signal {self.name} never comes in nbtasks: {self.instead}")
        elif (
            self.where in {"call", "worker"}
            and getattr(receiver, "__module__", "") == "__main__"
            and _is_elsewhere()
        ):
            warning.warn(
                f"{self.name} is sent in worker processes, and those do not run {_main()}; {_IN_A_MODULE}"
            )


def _is_elsewhere() -> bool:
    return not context.serving


def _main() -> str:
    return "the cells of a notebook" if "ipykernel" in sys.modules else "the script that starts them"


def _takes_anything(receiver: Any) -> bool:
    try:
        parameters = inspect.signature(receiver).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(one.kind is one.VAR_KEYWORD for one in parameters)


def _key(sender: Any) -> Hashable:
    """Return what is compared of a sender: a task is known by its name, there may be several objects of it."""
    if sender is None or isinstance(sender, str):
        return sender
    name = getattr(sender, "name", None)
    return name if isinstance(name, str) else id(sender)


def _uid(receiver: Receiver) -> Hashable:
    """Return what tells receivers apart. A function of a module that is run again is the same one."""
    if isinstance(receiver, MethodType):
        return (id(receiver.__self__), receiver.__func__.__qualname__)
    if isinstance(receiver, FunctionType) and (_setting_up or "<" not in receiver.__qualname__):
        return (receiver.__module__, receiver.__qualname__)
    return id(receiver)


def _held(receiver: Receiver, weak: bool, gone: Callable[[], None]) -> Callable[[], Receiver | None]:
    if not weak:
        return lambda: receiver
    if isinstance(receiver, MethodType):
        return weakref.WeakMethod(receiver, lambda _: gone())
    try:
        return weakref.ref(receiver, lambda _: gone())
    except TypeError:
        return lambda: receiver


# --- in the process that submits

before_task_publish = Signal(
    "before_task_publish",
    ("body", "exchange", "routing_key", "headers", "properties", "declare", "retry_policy"),
    "submit",
)
after_task_publish = Signal("after_task_publish", ("body", "exchange", "routing_key", "headers"), "submit")

# --- in the process that runs a call

task_received = Signal("task_received", ("request",), "call")
task_prerun = Signal("task_prerun", ("task_id", "task", "args", "kwargs"), "call")
task_postrun = Signal("task_postrun", ("task_id", "task", "args", "kwargs", "retval", "state"), "call")
task_success = Signal("task_success", ("result", "runtime"), "call")
task_failure = Signal(
    "task_failure", ("task_id", "exception", "args", "kwargs", "traceback", "einfo"), "call"
)
task_retry = Signal("task_retry", ("request", "reason", "einfo"), "call")
task_revoked = Signal("task_revoked", ("request", "terminated", "signum", "expired"), "call")

# --- in a worker

celeryd_init = Signal("celeryd_init", ("instance", "conf", "options"))
celeryd_after_setup = Signal("celeryd_after_setup", ("instance", "conf"))
beat_init = Signal("beat_init")
beat_embedded_init = Signal("beat_embedded_init")
worker_init = Signal("worker_init")
worker_process_init = Signal("worker_process_init")
worker_ready = Signal("worker_ready")
worker_shutting_down = Signal("worker_shutting_down", ("sig", "how", "exitcode"))
worker_process_shutdown = Signal("worker_process_shutdown", ("pid", "exitcode"))
worker_shutdown = Signal("worker_shutdown")

# --- logging

setup_logging = Signal("setup_logging", ("loglevel", "logfile", "format", "colorize"))
after_setup_logger = Signal("after_setup_logger", ("logger", "loglevel", "logfile", "format", "colorize"))
after_setup_task_logger = Signal(
    "after_setup_task_logger", ("logger", "loglevel", "logfile", "format", "colorize")
)

# --- what there is nothing for

_NO_GREEN_THREADS = "there are no green threads here; write the task as `async def`"
eventlet_pool_started = Signal("eventlet_pool_started", (), "never", _NO_GREEN_THREADS)
eventlet_pool_preshutdown = Signal("eventlet_pool_preshutdown", (), "never", _NO_GREEN_THREADS)
eventlet_pool_postshutdown = Signal("eventlet_pool_postshutdown", (), "never", _NO_GREEN_THREADS)
eventlet_pool_apply = Signal("eventlet_pool_apply", ("target", "args", "kwargs"), "never", _NO_GREEN_THREADS)
task_unknown = Signal(
    "task_unknown", ("name", "id", "message", "exc"), "never", "a call brings its function along"
)
task_rejected = Signal(
    "task_rejected", ("message", "exc"), "never", "what cannot be read ends as a failure of its call"
)
worker_before_create_process = Signal(
    "worker_before_create_process", (), "never", "use worker_init, which is sent before children are made"
)
heartbeat_sent = Signal("heartbeat_sent", (), "never", "a lease in the server stands for heartbeats")
task_internal_error = Signal(
    "task_internal_error",
    ("task_id", "args", "kwargs", "request", "exception", "traceback", "einfo"),
    "never",
    "what goes wrong in a call is told by task_failure",
)
import_modules = Signal("import_modules", (), "never", "name the modules, App(include=[...])")
user_preload_options = Signal(
    "user_preload_options", ("app", "options"), "never", "read environment variables instead"
)
