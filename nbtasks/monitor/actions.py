"""What can be done from a page: each in one sentence, and by worker what that has said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from nbtasks.client.purging import purge, waiting
from nbtasks.client.result import AsyncResult
from nbtasks.core.errors import ConfigError, NbtasksError

from .bounded import ERROR, NAME, short

if TYPE_CHECKING:
    from nbtasks.client.app import App
    from nbtasks.client.control.control import Said

    Answer = dict[str, Any]

#: Seconds that workers have to say how an order went.
_ANSWER_S = 2.0
_MOST_CHILDREN = 1024


class Body:
    """What an action is given: anything may stand there."""

    def __init__(self, action: str, given: Any) -> None:
        self._action = action
        if not isinstance(given, Mapping):
            raise ConfigError(f"{action}: its body is no object")
        self._given = given

    def text(self, name: str, *, may_be_empty: bool = False) -> str:
        """Return a text.

        Raises:
            ConfigError: there is none.
        """
        value = self._given.get(name, "" if may_be_empty else None)
        if not isinstance(value, str) or len(value) > NAME or not (value or may_be_empty):
            raise ConfigError(f"{self._action}: give {name} as a text")
        return value

    def count(self, name: str, default: int | None = None) -> int:
        """Return a number from 1 on.

        Raises:
            ConfigError: it is none.
        """
        value = self._given.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST_CHILDREN:
            raise ConfigError(f"{self._action}: give {name} as a whole number from 1 to {_MOST_CHILDREN:,}")
        return value

    def seconds(self, name: str) -> float | None:
        """Return seconds, None where nothing stands there.

        Raises:
            ConfigError: it is something else.
        """
        value = self._given.get(name)
        if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
            return value
        raise ConfigError(f"{self._action}: give {name} as seconds, or null")


class Actions:
    """Does them for one App.

    Attributes:
        draining: ids of workers that were told from here to end after their calls.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self.draining: set[str] = set()
        self._ways: dict[str, Callable[[Body], Answer]] = {
            "revoke": lambda body: self._revoke(body, terminate=False),
            "terminate": lambda body: self._revoke(body, terminate=True),
            "retry": self._retry,
            "grow": lambda b: self._told(self._control.pool_grow(b.count("n", 1), **self._to(b))),
            "shrink": lambda b: self._told(self._control.pool_shrink(b.count("n", 1), **self._to(b))),
            "autoscale": lambda b: self._told(
                self._control.autoscale(b.count("max"), b.count("min"), **self._to(b))
            ),
            "restart_pool": lambda b: self._told(self._control.pool_restart(**self._to(b))),
            "add_queue": lambda b: self._told(self._control.add_consumer(b.text("queue"), **self._to(b))),
            "cancel_queue": lambda b: self._told(
                self._control.cancel_consumer(b.text("queue"), **self._to(b))
            ),
            "purge": self._purge,
            "drain": self._drain,
            "stop": lambda b: self._told(self._control.shutdown(cold=True, **self._to(b))),
            "rate_limit": lambda b: self._told(
                self._control.rate_limit(
                    b.text("task"), b.text("rate", may_be_empty=True) or None, **self._to_some(b)
                )
            ),
            "time_limit": lambda b: self._told(
                self._control.time_limit(
                    b.text("task"), b.seconds("soft_s"), b.seconds("hard_s"), **self._to_some(b)
                )
            ),
            "pause": self._pause,
            "resume": self._resume,
            "run": self._run,
            "remove": self._remove,
        }

    @property
    def names(self) -> tuple[str, ...]:
        """What can be done."""
        return tuple(self._ways)

    def act(self, action: str, given: Any) -> Answer:
        """Do something; returns whether that was done, what is said of it, and what each worker says."""
        way = self._ways.get(action)
        if way is None:
            return _answer(False, f"there is no action {short(action, 40)!r}")
        try:
            return way(Body(action, given))
        except NbtasksError as error:
            return _answer(False, str(error))

    @property
    def _control(self) -> Any:
        return self._app.control

    def _to(self, body: Body) -> dict[str, Any]:
        """Return the one worker that is meant, by id or name: never all of them by mistake."""
        return {"destination": [body.text("worker")], "timeout": _ANSWER_S}

    @staticmethod
    def _to_some(body: Body) -> dict[str, Any]:
        """Return the one worker that is named, or all: a limit is meant for all, and for those to come."""
        worker = body.text("worker", may_be_empty=True)
        return {"destination": [worker] if worker else None, "timeout": _ANSWER_S}

    @staticmethod
    def _told(said: Said | None) -> Answer:
        """Return what workers say."""
        workers = {name: reply for one in said or [] for name, reply in one.items()}
        if not workers:
            return _answer(False, "no worker is there that could follow this")
        bad = {name: reply["error"] for name, reply in workers.items() if "error" in reply}
        first = "; ".join(
            f"{name}: {reply.get('error', reply.get('ok'))}" for name, reply in list(workers.items())[:3]
        )
        more = f"; {len(workers) - 3} more" if len(workers) > 3 else ""
        return {**_answer(not bad, first + more), "workers": workers}

    # -- calls

    def _handle(self, body: Body) -> AsyncResult[Any]:
        handles = self._app.attach(body.text("id"))
        if len(handles) != 1 or not isinstance(handles[0], AsyncResult):
            raise ConfigError(f"{body.text('id')} is not one call; name one: its id ends in :0, :1, ...")
        return handles[0]

    def _revoke(self, body: Body, *, terminate: bool) -> Answer:
        handle = self._handle(body)
        if handle.ready():
            return _answer(False, f"it has ended already: {handle.state}")
        if terminate:
            signal = body.text("signal", may_be_empty=True) or "SIGTERM"
            handle.revoke(terminate=True, signal=signal)
        else:
            handle.revoke()
        return _answer(True, "revoked; it is stopped where it runs" if terminate else "revoked")

    def _retry(self, body: Body) -> Answer:
        handle = self._handle(body)
        handle.retry()
        return {**_answer(True, "submitted again"), "id": handle.id}

    def _purge(self, body: Body) -> Answer:
        queue = body.text("queue")
        count = purge(self._app, waiting(self._app, [queue]))
        calls = "1 call" if count == 1 else f"{count:,} calls"
        return _answer(True, f"{calls} revoked that waited in {queue}; what runs goes on")

    # -- workers

    def _drain(self, body: Body) -> Answer:
        found = self._told(self._control.shutdown(**self._to(body)))
        if found["ok"]:
            meant = body.text("worker")
            self.draining |= {one.id for one in self._app.workers() if meant in (one.id, one.name)}
        return found

    # -- periodic tasks

    def _pause(self, body: Body) -> Answer:
        self._app.periodic_task(body.text("name")).pause()
        return _answer(True, "paused")

    def _resume(self, body: Body) -> Answer:
        self._app.periodic_task(body.text("name")).resume()
        return _answer(True, "goes on with its next due time")

    def _run(self, body: Body) -> Answer:
        handle = self._app.periodic_task(body.text("name")).run_now()
        return {**_answer(True, f"runs now: {handle.id}"), "id": handle.id}

    def _remove(self, body: Body) -> Answer:
        gone = self._app.periodic_task(body.text("name")).remove()
        return _answer(gone, "removed" if gone else "it was not there any more")


def _answer(ok: bool, said: str) -> Answer:
    return {"ok": ok, "said": short(said, ERROR), "workers": {}}
