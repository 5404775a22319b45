"""The workers that an order or a question is for."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from nbtasks.core.errors import ConfigError, WorkersError

if TYPE_CHECKING:
    from nbtasks.client.workerinfo import WorkerInfo

    from .commanded import Commanded


@dataclass(frozen=True)
class Audience:
    """Workers by the names under which their answers are shown: where two have one name, with host and process.

    Attributes:
        workers: those that are there.
        absent: names that were given of workers that are not there.
    """

    workers: Mapping[str, WorkerInfo]
    absent: tuple[str, ...] = ()

    @property
    def ids(self) -> list[str]:
        """Their ids."""
        return [worker.id for worker in self.workers.values()]


def audience(
    app: Commanded,
    destination: Iterable[str] | str | None = None,
    pattern: str | None = None,
    matcher: str = "glob",
    *,
    all_of_them: bool = True,
) -> Audience:
    """Return the living workers that are meant.

    Args:
        all_of_them: whether a single one that is not there is an error. An order is given to all or to none; a
            question is answered by those that are there.
        destination: their names; all if None.
        pattern: of names; ``matcher`` says whether it is a ``glob``, such as ``w*``, or a regular expression
            (``pcre``, ``regex``).

    Raises:
        ConfigError: the pattern makes no sense.
        WorkersError: there is no worker of a name that was given, or of none of them.
    """
    absent: tuple[str, ...] = ()
    workers = _by_name(app.engine.commanding.reachable(app.workers()))
    if destination is not None:
        if not isinstance(destination, Iterable):
            raise ConfigError(
                f"destination: {destination!r:.40} is neither the name of a worker nor a list of names"
            )
        wanted = [destination] if isinstance(destination, str) else list(destination)
        absent = tuple(str(name) for name in _missing(wanted, workers))
        if absent and (all_of_them or len(absent) == len(set(wanted))):
            raise WorkersError(f"destination: no worker {absent[0]!r} is there; {_hint(absent[0], workers)}")
        workers = {name: one for name, one in workers.items() if {name, one.name, one.id} & set(wanted)}
    if pattern is not None:
        matches = _matching(pattern, matcher)
        workers = {name: one for name, one in workers.items() if matches.match(name)}
    return Audience(workers, absent)


def _by_name(found: Sequence[WorkerInfo]) -> dict[str, WorkerInfo]:
    names = [worker.name for worker in found]
    return {
        worker.name
        if names.count(worker.name) == 1
        else f"{worker.name} ({worker.host}, pid {worker.pid})": worker
        for worker in sorted(found, key=lambda one: (one.name, one.id))
    }


def _missing(wanted: Sequence[Any], workers: Mapping[str, WorkerInfo]) -> list[Any]:
    known = _known(workers)
    return [name for name in dict.fromkeys(wanted) if name not in known]


def _known(workers: Mapping[str, WorkerInfo]) -> set[str]:
    return {*workers, *(one.name for one in workers.values()), *(one.id for one in workers.values())}


def _hint(name: str, workers: Mapping[str, WorkerInfo]) -> str:
    near = get_close_matches(name, _known(workers), 1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(workers) or 'none'}"


def _matching(pattern: str, matcher: str) -> re.Pattern[str]:
    if matcher not in ("glob", "pcre", "regex"):
        raise ConfigError(f"matcher: {matcher!r} is neither 'glob' nor 'pcre'")
    if not isinstance(pattern, str):
        raise ConfigError(f"pattern: {pattern!r:.40} is no text, such as 'io*'")
    try:
        return re.compile(fnmatch.translate(pattern) if matcher == "glob" else pattern)
    except re.error as error:
        raise ConfigError(f"pattern: {pattern!r} is no regular expression: {error}") from None
