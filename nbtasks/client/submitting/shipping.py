"""A task's function on its way: packed anew unless it provably is what was packed before, with its local modules."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nbtasks.client.definition import Definition
from nbtasks.client.home import BoundFor, Home
from nbtasks.client.ofworkers import of_workers
from nbtasks.core import callheader
from nbtasks.core.errors import ConfigError, PayloadTooLarge
from nbtasks.core.options import TaskOptions
from nbtasks.core.warning import warn
from nbtasks.wire.codec import Codec, Sealed
from nbtasks.wire.modules.manifest import Manifest, Needs

from . import fingerprint

#: Bytes of a function as it travels.
_LARGE_FUNCTION = 2**20


@dataclass(frozen=True)
class PackedFunction:
    """A task's function as it was packed last.

    Attributes:
        mark: its fingerprint.
        options: those that it was packed with.
        modules: as in :class:`Definition`.
    """

    mark: fingerprint.Fingerprint | None
    options: TaskOptions
    modules: frozenset[str]
    sealed: Sealed
    codec: Codec
    #: Of the functions that prepare processes for it.
    setups: Sequence[fingerprint.Fingerprint | None] = ()

    def is_current(self, codec: Codec, task: Definition, mark: fingerprint.Fingerprint | None) -> bool:
        """Whether it provably is what would be packed now."""
        if self.codec is not codec or task.options is not self.options:
            return False
        if not fingerprint.same(mark, self.mark):
            return False
        sealed = self.sealed
        if codec.setups or self.setups:
            now = [fingerprint.fingerprint(one) for one in codec.setups]
            if len(now) != len(self.setups) or not all(map(fingerprint.same, now, self.setups)):
                return False
        return self.modules is task.modules and (
            not sealed.roots[0] or self.codec.manifest(sealed.roots) == sealed.manifest
        )


def ship(codec: Codec, home: Home, task: Definition) -> tuple[str, bytes]:
    """Return content hash and frame of a task's function; packed anew unless it provably is what was packed before.

    Args:
        home: where it goes.
    """
    before: PackedFunction | None = task.shipped
    there = of_workers(task, codec.of_workers)
    function = there or task.function
    mark = fingerprint.fingerprint(function)
    if before is not None and before.is_current(codec, task, mark):
        return before.sealed.digest, before.sealed.frame
    refuse_bound_to_kernel(function)
    with BoundFor(home):
        options = task.options
        sealed = codec.seal_function(function, options, task.modules, by_name=there is not None)
    _see_to_size(task, len(sealed.frame))
    setups = [fingerprint.fingerprint(one) for one in codec.setups]
    task.shipped = PackedFunction(mark, options, task.modules, sealed, codec, setups)
    return sealed.digest, sealed.frame


def _see_to_size(task: Definition, size: int) -> None:
    """Refuse a function that captures too much, and warn about one that captures much: each change of it sends that."""
    most = callheader.FUNCTION_LIMIT_BYTES
    if size > most:
        raise PayloadTooLarge(
            f"{task.name} takes {size:,} bytes with what it captures, over the limit of {most:,} for a function: "
            "pass large values as arguments, or load them inside of the task. %%task --dry-run shows what it "
            "captures"
        )
    if size > _LARGE_FUNCTION:
        warn(
            f"{task.name} captures {size / 2**20:.1f} MB of data, sent once for each version of the function. "
            "%%task --dry-run shows what it is"
        )


def note_modules(codec: Codec, task: Definition, needs: Needs) -> Manifest | None:
    """Remember which local modules arguments need, so that the function brings them; return them, if there are any."""
    roots = needs.roots()
    manifest = codec.manifest(roots) if roots[0] else None
    if manifest is None or not manifest.modules:
        return None
    if not manifest.modules.keys() <= task.modules:
        task.modules = task.modules.union(manifest.modules)
    return manifest


class Along:
    """Local modules that arguments of a map need and its function, which went before them, does not bring."""

    def __init__(self, codec: Codec, task: Definition, needs: Needs) -> None:
        self._codec = codec
        self._task = task
        self._needs = needs
        self._brought = task.shipped.sealed.manifest
        self._packed: tuple[Manifest | None, bytes] = (None, b"")

    def packed(self) -> bytes:
        """Return those that are needed by now; empty where there are none."""
        manifest = note_modules(self._codec, self._task, self._needs)
        if manifest is None or manifest.modules.keys() <= self._brought.modules.keys():
            return b""
        if self._packed[0] != manifest:
            rest = manifest.without(self._brought.modules)
            self._packed = (manifest, rest.packed)
        return self._packed[1]


def refuse_bound_to_kernel(function: Callable[..., Any]) -> None:
    """Raise ConfigError for a function whose results cannot leave their process."""
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigError(
            f"{getattr(function, '__name__', function)!r} is a generator function, and a generator cannot be a result; "
            "return a list"
        )
