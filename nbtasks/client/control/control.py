"""``app.control``: tell workers something, with Celery's words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from nbtasks.core.durations import seconds
from nbtasks.core.errors import ConfigError
from nbtasks.core.options import check_queue
from nbtasks.core.orders import Autoscale, Command, LimitTask, RenewChildren, Resize, Serve, Shutdown
from nbtasks.core.rates import rate

from .audience import audience
from .inspecting import Inspect
from .orderwords import PATIENCE_S, OrderWords, ids_of, or_meant

if TYPE_CHECKING:
    from .commanded import Commanded

#: What workers say, one dict a worker: ``{name: {"ok": ...}}`` or ``{name: {"error": ...}}``.
Said = list[dict[str, Any]]
NO_MEANING = {
    "enable_events": "events are always on, and cost nothing that is worth switching off",
    "disable_events": "events are always on, and cost nothing that is worth switching off",
    "heartbeat": "each worker renews its lease by itself; `inspect().ping()` asks whether it is there",
    "election": "supervisors elect one of them by themselves",
    "revoke_by_stamped_headers": "nothing is stamped; revoke calls by their ids, or all of a group by its own",
}


class Control:
    """Orders for the workers of an App's namespace, on any machine.

    Each method waits for the workers' answers, which takes some ms, and ``timeout`` seconds at most; with
    ``reply=False`` it returns None at once. ``destination`` names workers, ``pattern`` selects them by their names
    (``matcher="pcre"``: a regular expression). What is asked of nobody in particular is asked of all.
    """

    def __init__(self, app: Commanded) -> None:
        self._app = app

    def __repr__(self) -> str:
        return f"<Control of {self._app!r}>"

    def __getattr__(self, name: str) -> Any:
        if name in NO_MEANING:
            raise ConfigError(f"control.{name}: that has no meaning here: {NO_MEANING[name]}")
        raise AttributeError(f"control has no {name!r}{or_meant(name, type(self))}")

    def inspect(
        self,
        destination: Iterable[str] | str | None = None,
        timeout: float = PATIENCE_S,
        callback: Callable[[dict[str, Any]], Any] | None = None,
        limit: int | None = None,
        pattern: str | None = None,
        matcher: str = "glob",
    ) -> Inspect:
        """Return what asks workers.

        Args:
            destination, pattern, matcher: as above.
            timeout: seconds in which they have to answer.
            callback: called with each answer.
            limit: so many answers are enough.
        """
        words = {
            "timeout": timeout, "callback": callback, "limit": limit, "pattern": pattern, "matcher": matcher
        }  # fmt: skip
        return Inspect(self._app, destination, OrderWords.of(words, "inspect"))

    # -- workers

    def ping(
        self, destination: Iterable[str] | str | None = None, timeout: float = PATIENCE_S, **words: Any
    ) -> Said:
        """Ask who is there: ``[{name: {"ok": "pong"}}, ...]``."""
        given = OrderWords.of({"timeout": timeout, **words}, "ping")
        answers = Inspect(self._app, destination, given).ping() or {}
        return [{name: answer} for name, answer in answers.items()]

    def shutdown(
        self, destination: Iterable[str] | str | None = None, *, cold: bool = False, **words: Any
    ) -> Said | None:
        """End workers: when the calls that they run have ended, or at once (``cold``)."""
        return self._tell(Shutdown(cold), destination, **words)

    def pool_grow(
        self, n: int = 1, destination: Iterable[str] | str | None = None, **words: Any
    ) -> Said | None:
        """Have ``n`` more children in each worker."""
        return self._tell(Resize(more=_count(n, "pool_grow")), destination, **words)

    def pool_shrink(
        self, n: int = 1, destination: Iterable[str] | str | None = None, **words: Any
    ) -> Said | None:
        """Have ``n`` fewer children in each worker; those that are busy end their calls first."""
        return self._tell(Resize(fewer=_count(n, "pool_shrink")), destination, **words)

    def pool_restart(
        self,
        modules: Iterable[str] | None = None,
        reload: bool = False,
        destination: Iterable[str] | str | None = None,
        **words: Any,
    ) -> Said | None:
        """Replace all children, each when the calls that it runs have ended."""
        if modules is not None or reload:
            raise ConfigError(
                "pool_restart: modules that a worker has imported stay as they are; to load them anew, restart the "
                "worker"
            )
        return self._tell(RenewChildren(), destination, **words)

    def autoscale(
        self,
        max: int,  # noqa: A002 - Celery's name
        min: int,  # noqa: A002 - Celery's name
        destination: Iterable[str] | str | None = None,
        **words: Any,
    ) -> Said | None:
        """Have each worker run as many children as it has work for, within bounds."""
        most, least = _count(max, "autoscale: max"), _count(min, "autoscale: min")
        if least > most:
            raise ConfigError(f"autoscale: max={most} is less than min={least}")
        return self._tell(Autoscale(most, least), destination, **words)

    def add_consumer(
        self,
        queue: str,
        exchange: Any = None,
        exchange_type: Any = None,
        routing_key: Any = None,
        options: Any = None,
        destination: Iterable[str] | str | None = None,
        **words: Any,
    ) -> Said | None:
        """Have workers take calls of one more queue."""
        if any(one is not None for one in (exchange, routing_key, options)) or exchange_type not in (
            None,
            "direct",
        ):
            raise ConfigError(
                "add_consumer: there are no exchanges; calls go to a queue by its name, so say that alone"
            )
        return self._tell(Serve(check_queue(queue)), destination, **words)

    def cancel_consumer(
        self, queue: str, destination: Iterable[str] | str | None = None, **words: Any
    ) -> Said | None:
        """Have workers take no more calls of a queue."""
        return self._tell(Serve(check_queue(queue), stop=True), destination, **words)

    # -- tasks

    def rate_limit(
        self,
        task_name: str,
        rate_limit: float | str | None,
        destination: Iterable[str] | str | None = None,
        **words: Any,
    ) -> Said | None:
        """Let calls of a task start so often, such as ``10/m``, over all workers together; None or 0 for no limit.

        Workers that begin later keep to it, too, unless ``destination`` or ``pattern`` is given.
        """
        what = LimitTask(_task(task_name), rate=rate(rate_limit) or "")
        return self._limit(what, destination, words)

    def time_limit(
        self,
        task_name: str,
        soft: float | None = None,
        hard: float | None = None,
        destination: Iterable[str] | str | None = None,
        **words: Any,
    ) -> Said | None:
        """Let calls of a task run so many seconds; None or 0 for no limit. As :meth:`rate_limit`."""
        soft_s, hard_s = (seconds(one, "time_limit") if one else 0.0 for one in (soft, hard))
        if soft_s and hard_s and soft_s >= hard_s:
            raise ConfigError(f"time_limit: soft={soft_s:g} is not less than hard={hard_s:g}")
        return self._limit(LimitTask(_task(task_name), hard_s=hard_s, soft_s=soft_s), destination, words)

    def _limit(
        self, what: LimitTask, destination: Iterable[str] | str | None, words: dict[str, Any]
    ) -> Said | None:
        if destination is None and words.get("pattern") is None:
            self._app.engine.commanding.keep(what)
        return self._tell(what, destination, **words)

    # -- calls

    def revoke(
        self,
        task_id: Any,
        destination: Iterable[str] | str | None = None,
        terminate: bool = False,
        signal: Any = "SIGTERM",
        **words: Any,
    ) -> None:
        """Revoke calls by their ids or handles, wherever they are; ``terminate`` stops them also where they run."""
        del destination, words
        for one in ids_of(task_id):
            for handle in self._app.attach(one):
                if terminate:
                    handle.revoke(terminate=True, signal=signal)
                else:
                    handle.revoke()

    def terminate(self, task_id: Any, signal: Any = "SIGTERM", **words: Any) -> None:
        """Revoke calls, and stop them where they run."""
        self.revoke(task_id, terminate=True, signal=signal, **words)

    def purge(self) -> int:
        """Revoke all calls of the namespace that nobody has started; returns how many."""
        from nbtasks.client.purging import purge, waiting

        return purge(self._app, waiting(self._app, None))

    discard_all = purge

    def broadcast(
        self,
        command: str,
        arguments: dict[str, Any] | None = None,
        destination: Iterable[str] | str | None = None,
        **words: Any,
    ) -> Any:
        """Do by its name what one of the other methods does, with ``arguments`` as its keywords."""
        if arguments is not None and not isinstance(arguments, dict):
            raise ConfigError(
                f"broadcast: arguments={arguments!r:.40} is no dict of arguments by their names"
            )
        known = isinstance(command, str) and not command.startswith("_") and command != "broadcast"
        if known and getattr(type(self), command, None) is not None:
            return getattr(self, command)(**{"destination": destination, **(arguments or {}), **words})
        if known and callable(getattr(Inspect, command, None)):
            words.pop("reply", None)
            inspect = Inspect(self._app, destination, OrderWords.of(words, "broadcast"))
            answers = getattr(inspect, command)(*(arguments or {}).values()) or {}
            return [{name: answer} for name, answer in answers.items()]
        raise ConfigError(f"broadcast: there is no command {command!r:.40}")

    # -- how they are told

    def _tell(
        self,
        what: Command,
        destination: Iterable[str] | str | None,
        **words: Any,
    ) -> Said | None:
        """Give an order to the workers that are meant; who does not answer has an error of its own."""
        given = OrderWords.of(words, "control")
        most_s = given.timeout
        there = audience(self._app, destination, given.pattern, given.matcher)
        commanding = self._app.engine.commanding
        if not given.reply:
            commanding.tell(what, there.ids)
            return None
        answers = commanding.ask(what, there.ids, most_s)
        said: Said = []
        for name, info in list(there.workers.items())[: given.limit]:
            answer = answers.get(info.id)
            if answer is None:
                said.append(
                    {name: {"error": f"no answer in {most_s:g} s; it follows the order when it goes on"}}
                )
            else:
                said.append({name: {"error" if answer.failed else "ok": answer.value}})
        if given.callback is not None:
            for one in said:
                given.callback(one)
        return said


def _count(n: Any, what: str) -> int:
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ConfigError(f"{what}: {n!r:.40} is not a number of children, 1 or more")
    return n


def _task(name: Any) -> str:
    found = getattr(name, "name", name)
    if not isinstance(found, str) or not found:
        raise ConfigError(f"{name!r:.40} is not the name of a task, nor a task")
    return found
