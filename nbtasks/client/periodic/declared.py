"""The periodic tasks of an App: those that its project declares, and those that are made by hand."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from nbtasks.client.canvas.signature import Signature, element
from nbtasks.client.conf.zones import zone_name_of
from nbtasks.client.current import Provider
from nbtasks.client.submitting.dispatch import call_options
from nbtasks.core.due.crontab import crontab
from nbtasks.core.due.interval import schedule as interval
from nbtasks.core.due.periodicfacts import WITH_ANOTHER, PeriodicFacts
from nbtasks.core.due.periodicterms import PeriodicTerms
from nbtasks.core.due.timezones import name_of
from nbtasks.core.errors import ConfigError, NbtasksError, OperationalError
from nbtasks.core.warning import warn

from .appevents import AppEvent, is_declared
from .periodictask import PeriodicTask
from .refusedoptions import check_call_options

if TYPE_CHECKING:
    from nbtasks.client.batches.engine import Engine
    from nbtasks.client.batches.parcel import Call
    from nbtasks.client.definition import Definition

_log = logging.getLogger("nbtasks")
_ENTRY = frozenset(
    {"task", "schedule", "args", "kwargs", "options", "relative", "missed", "overlap", "jitter", "tz"}
)
#: What is said of an entry of the settings begins so.
_ENTRY_OF = "beat_schedule["
_MOST_NAME = 200


class DeclaringApp(Provider, Protocol):
    """An App, seen from here."""

    @property
    def is_connected(self) -> bool:
        """Whether it has an open connection to its broker."""

    def signature(self, varies: Any, args: Any = None, kwargs: Any = None) -> Signature:
        """Return a call that is not submitted yet; by name: a task of this App."""


@dataclass(frozen=True)
class Declaration:
    """A periodic task as it was said."""

    name: str
    schedule: Any
    what: Signature
    options: Mapping[str, Any] = field(default_factory=dict)
    terms: Mapping[str, Any] = field(default_factory=dict)
    tz: str | None = None


def _itself(said: Declaration) -> Declaration:
    return said


class Declared:
    """Of one App.

    Attributes:
        on_after_configure, on_after_finalize: what its project connects to.
    """

    def __init__(self, app: DeclaringApp) -> None:
        self._app = weakref.ref(app)
        self._added: dict[str, Declaration] = {}
        self.on_after_configure = AppEvent("on_after_configure", self._sender, self._is_ready)
        self.on_after_finalize = AppEvent("on_after_finalize", self._sender, self._is_ready)

    def _sender(self) -> DeclaringApp:
        app = self._app()
        assert app is not None
        return app

    def _is_ready(self) -> bool:
        return bool(self._sender().is_connected)

    def settle(self) -> None:
        """Tell the project that its App is ready."""
        self.on_after_configure.happen()
        self.on_after_finalize.happen()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is declared."""
        self.settle()
        return not self._added and not self._sender().conf.get("beat_schedule")

    def add(
        self,
        schedule: Any,
        sig: Any,
        args: Any,
        kwargs: Any,
        name: str | None,
        terms: Mapping[str, Any],
        options: Mapping[str, Any],
    ) -> PeriodicTask:
        """Declare one, or put it at once where it is not a module that says it."""
        app = self._sender()
        if not isinstance(terms.get("keep", False), bool):
            raise ConfigError(
                f"keep: {terms['keep']!r:.40} is neither True nor False: does it go on when this process has ended?"
            )
        said = _declaration(name, schedule, _call(app, sig, args, kwargs), options, terms)
        if not is_declared():
            _put(app.engine, app, said, "", bool(terms.get("keep")))
            return PeriodicTask(said.name, app)
        _terms(app, said, "", keep=True)
        if name is None and said.name in self._added:
            warn(
                f"periodic task {said.name!r} takes the place of another one that calls the same: give them names"
            )
        self._added[said.name] = said
        return PeriodicTask(said.name, app)

    def _all(self) -> dict[str, Callable[[], Declaration]]:
        """Return what makes each that is declared, by their names; what the settings say comes first."""
        app = self._sender()
        entries = app.conf.get("beat_schedule") or {}
        found: dict[str, Callable[[], Declaration]] = {
            name: partial(_of_entry, app, name, entry) for name, entry in entries.items()
        }
        return {**found, **{name: partial(_itself, said) for name, said in self._added.items()}}

    def apply(self, owner: str, engine: Engine | None = None) -> list[str]:
        """Put all that is declared; returns the names. One that is wrong keeps no other one out.

        Args:
            owner: what stays, and is removed when it is declared no more; empty where they end with this process.
            engine: puts them, where it is not the App's.

        Raises:
            ConfigError: entries cannot be periodic tasks; which, and why. What they were before stays.
        """
        app = self._sender()
        self.settle()
        used = engine or app.engine
        wrong: list[str] = []
        declared = self._all()
        for name, make in declared.items():
            try:
                said = make()
                _put(used, app, said, owner, bool(owner or said.terms.get("keep")))
            except OperationalError:
                raise
            except (NbtasksError, TypeError) as error:
                # It is the task's signature that raises a TypeError.
                text = str(error)
                wrong.append(text if text.startswith(_ENTRY_OF) else f"periodic task {name!r}: {text}")
        if owner:
            self._remove_others(used, owner, list(declared))
        if wrong:
            raise ConfigError("; ".join(wrong))
        return list(declared)

    def _remove_others(self, engine: Engine, owner: str, names: list[str]) -> None:
        periodics = engine.periodics
        for facts in periodics.all():
            if facts.owner == owner and facts.name not in names:
                _log.info("periodic task %r is declared no more, and removed", facts.name)
                periodics.remove(facts.name)


def periodic_tasks(app: Provider) -> list[PeriodicTask]:
    """Return all periodic tasks, the next one first, those that pause last."""
    return [PeriodicTask(facts.name, app) for facts in all_facts(app)]


def all_facts(app: Provider) -> list[PeriodicFacts]:
    """Return what is known of all periodic tasks, in the same order."""
    return app.engine.periodics.all()


def _call(app: DeclaringApp, sig: Any, args: Any, kwargs: Any) -> Signature:
    """Return the call of one task that is meant.

    Raises:
        ConfigError: it is a composition, or calls nothing.
    """
    made: Any = app.signature(sig) if isinstance(sig, (str, Mapping)) else sig
    if not isinstance(made, Signature):
        made = (
            made.s()
            if hasattr(made, "apply_async") and hasattr(made, "s")
            else element(made, "add_periodic_task")
        )
    if not made.is_plain:
        raise ConfigError(
            f"add_periodic_task: {made!r:.80} is a composition, or has others linked to it, and a periodic task is one "
            "call: put it into a task that submits it, @app.task def job(): (...).delay()"
        )
    positional, named = _arguments(args, kwargs, "add_periodic_task: ")
    own: Signature = made.clone(positional, named) if positional or named else made
    return own


def _arguments(args: Any, kwargs: Any, where: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return what a task is called with, as somebody has given it.

    Raises:
        ConfigError: these are no arguments; a text would be taken apart into its letters.
    """
    if args is not None and not isinstance(args, (tuple, list)):
        raise ConfigError(f"{where}args={args!r:.60} is no tuple or list of arguments: write ({args!r:.60},)")
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise ConfigError(f"{where}kwargs={kwargs!r:.60} is no dict of arguments by their names")
    return tuple(args or ()), dict(kwargs or {})


def _declaration(
    name: str | None, schedule: Any, what: Signature, options: Mapping[str, Any], terms: Mapping[str, Any]
) -> Declaration:
    given = {**what.options, **options}
    check_call_options(given)
    rest = {key: value for key, value in terms.items() if key != "tz"}
    return Declaration(
        repr(what)[:_MOST_NAME] if name is None else name, schedule, what, given, rest, terms.get("tz")
    )


def _of_entry(app: DeclaringApp, name: str, entry: Any) -> Declaration:
    """Return the declaration of an entry of ``beat_schedule``."""
    where = f"{_ENTRY_OF}{name!r}]"
    if not isinstance(entry, Mapping) or "task" not in entry or "schedule" not in entry:
        raise ConfigError(f"{where}: {entry!r:.80} is no dict with a task and a schedule")
    unknown = entry.keys() - _ENTRY
    if unknown:
        raise ConfigError(
            f"{where}: unknown {', '.join(sorted(unknown))}; known are {', '.join(sorted(_ENTRY))}"
        )
    schedule = entry["schedule"]
    if entry.get("relative") and not isinstance(schedule, crontab):
        schedule = interval(schedule.seconds if isinstance(schedule, interval) else schedule, relative=True)
    given = entry.get("options") or {}
    if not isinstance(given, Mapping):
        raise ConfigError(f"{where}: options={given!r:.60} is no dict of options, such as {{'queue': 'io'}}")
    options = dict(given)
    terms = {key: entry[key] for key in ("missed", "overlap", "jitter", "tz") if key in entry}
    terms |= {key: options.pop(key) for key in ("missed", "overlap", "jitter", "tz") if key in options}
    task = entry["task"]
    what = app.signature(task, *_arguments(entry.get("args"), entry.get("kwargs"), f"{where}: "))
    if not what.is_plain:
        raise ConfigError(f"{where}: {what!r:.80} is a composition; put it into a task that submits it")
    return _declaration(name, schedule, what, options, terms)


def _terms(app: Provider, said: Declaration, owner: str, keep: bool) -> PeriodicTerms:
    terms = {key: value for key, value in said.terms.items() if key != "keep"}
    zone = name_of(said.tz) if said.tz is not None else zone_name_of(app.conf)
    return PeriodicTerms.make(said.name, said.schedule, zone, keep=keep, owner=owner, **terms)


def _put(engine: Engine, app: Provider, said: Declaration, owner: str, keep: bool) -> None:
    call = (said.what.args, said.what.kwargs)
    put_calls(engine, said.what.type, [call], said.options, _terms(app, said, owner, keep))


def put_calls(
    engine: Engine,
    task: Definition,
    calls: Sequence[Call],
    options: Mapping[str, Any],
    terms: PeriodicTerms,
    single: bool = True,
    chunk: int | None = None,
) -> None:
    """Put a periodic task.

    Args:
        calls: what each run is.
        options: those of ``apply_async``.
        single: each run is one call, and no map.
        chunk: calls of a map that travel together, where that was said.
    """
    checked = call_options(task, dict(options), engine, single=single)
    engine.periodics.put(task, calls, replace(checked, plain=False), terms, chunk)


def put_from_notebook(
    app: Provider,
    task: Definition,
    calls: Sequence[Call],
    schedule: Any,
    name: str,
    options: Mapping[str, Any],
    single: bool,
    chunk: int | None = None,
    tz: str | None = None,
    **terms: Any,
) -> PeriodicTask:
    """Put what a cell does as a periodic task; options as of :meth:`PeriodicTerms.make`.

    Raises:
        ConfigError: another notebook, or a project, has one of this name.
    """
    check_call_options(options)
    made = PeriodicTerms.make(name, schedule, name_of(tz) if tz else zone_name_of(app.conf), **terms)
    handle = PeriodicTask(name, app)
    there = handle.facts
    if there is not None and (there.owner or there.ends_with == WITH_ANOTHER):
        whose = f"project {there.owner.partition(':')[0]}" if there.owner else "another notebook or script"
        raise ConfigError(
            f"there is a periodic task {name!r} already, of {whose}: give this one another name (-n NAME), or remove "
            f"that: %tasks schedule remove {name}"
        )
    put_calls(app.engine, task, calls, options, made, single, chunk)
    return handle
