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
    """Workers by the names under which their answers are shown: where two have one name, with host and process."""

    workers: Mapping[str, WorkerInfo]

    @property
    def ids(self) -> list[str]:
        """Their ids."""
        return [worker.id for worker in self.workers.values()]


def audience(
    app: Commanded,
    destination: Iterable[str] | str | None = None,
    pattern: str | None = None,
    matcher: str = "glob",
) -> Audience:
    """Return the living workers that are meant.

    Args:
        destination: their names; all if None.
        pattern: of names; ``matcher`` says whether it is a ``glob``, such as ``w*``, or a regular expression
            (``pcre``, ``regex``).

    Raises:
        ConfigError: the pattern makes no sense.
        WorkersError: there is no worker of a name that was given.
    """
    workers = _by_name(app.engine.commanding.reachable(app.workers()))
    if destination is not None:
        if not isinstance(destination, Iterable):
            raise ConfigError(
                f"destination: {destination!r:.40} is neither the name of a worker nor a list of names"
            )
        wanted = [destination] if isinstance(destination, str) else list(destination)
        _check_names(wanted, workers)
        workers = {name: one for name, one in workers.items() if {name, one.name, one.id} & set(wanted)}
    if pattern is not None:
        matches = _matching(pattern, matcher)
        workers = {name: one for name, one in workers.items() if matches.match(name)}
    return Audience(workers)


def _by_name(found: Sequence[WorkerInfo]) -> dict[str, WorkerInfo]:
    names = [worker.name for worker in found]
    return {
        worker.name
        if names.count(worker.name) == 1
        else f"{worker.name} ({worker.host}, pid {worker.pid})": worker
        for worker in sorted(found, key=lambda one: (one.name, one.id))
    }


def _check_names(wanted: Sequence[Any], workers: Mapping[str, WorkerInfo]) -> None:
    known = {*workers, *(one.name for one in workers.values()), *(one.id for one in workers.values())}
    for name in wanted:
        if name not in known:
            near = get_close_matches(str(name), known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(workers) or 'none'}"
            raise WorkersError(f"destination: no worker {name!r} is there; {hint}")


def _matching(pattern: str, matcher: str) -> re.Pattern[str]:
    if matcher not in ("glob", "pcre", "regex"):
        raise ConfigError(f"matcher: {matcher!r} is neither 'glob' nor 'pcre'")
    if not isinstance(pattern, str):
        raise ConfigError(f"pattern: {pattern!r:.40} is no text, such as 'io*'")
    try:
        return re.compile(fnmatch.translate(pattern) if matcher == "glob" else pattern)
    except re.error as error:
        raise ConfigError(f"pattern: {pattern!r} is no regular expression: {error}") from None
