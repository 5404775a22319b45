"""A function as a worker has it. Its calls borrow it one at a time, and each begins from what the notebook had."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nbtasks.core.context import CurrentCall
from nbtasks.core.mapping import MAP_BYTES, contents, nameless_file
from nbtasks.core.options import TaskOptions
from nbtasks.wire import pickling
from nbtasks.wire.kinds import classes
from nbtasks.wire.kinds.opening import Opening, begin_opening, opened_in
from nbtasks.wire.modules import activeworld
from nbtasks.wire.modules.world import World

from . import setups
from .watching import Watch

#: Copies that are kept for calls to come; so many calls at once open nothing.
_MOST_KEPT = 16


@dataclass(eq=False)
class Lent:
    """One copy of a function.

    Attributes:
        options: of its task, with the copy's own classes.
        classes: its classes, by id.
        watch: None where nothing that a call does stays.
    """

    call: Callable[..., Any]
    options: Any
    classes: dict[str, type] = field(default_factory=dict)
    watch: Watch | None = None
    #: What it was opened from: large arrays lie in it.
    held: bytes | memoryview = b""


class _Source:
    """A pickled function. A large one with arrays lies in a file without a name: copies share what they only read."""

    def __init__(self, packed: bytes) -> None:
        self._packed, self._size, self._fd = packed, len(packed), -1
        if self._size >= MAP_BYTES and pickling.has_buffers(packed):
            self._packed, self._fd = b"", nameless_file(packed)
            weakref.finalize(self, os.close, self._fd)

    def contents(self) -> bytes | memoryview:
        return self._packed if self._fd < 0 else contents(self._fd, self._size)


class Function:
    """A callable with its options as it arrives in a worker.

    Args:
        packed: callable and options, pickled.
        world: the local modules that came with them.

    Attributes:
        call: the callable, to be looked at; a call borrows one.
        options: what the client packed beside it: a core.options.TaskOptions.
        shared: the copy of all calls; None where each has its own.
    """

    def __init__(self, digest: str, packed: tuple[bytes, bytes], world: World | None = None) -> None:
        self.digest = digest
        self.world = world
        self._source: _Source | None = _Source(packed[0])
        self._packed_options = packed[1]
        self.options: Any = None
        #: Until they are known; and later on where they name classes that each copy has of its own.
        self._opens_options = True
        self.shared: Lent | None = None
        self._kept: list[Lent] = []
        #: Caches of its functions live as long as it does, in whatever copies it is opened.
        self._caches: list[Any] = []
        began = time.perf_counter()
        first = self._opened(Opening())
        opened_s = time.perf_counter() - began
        self.call, self.options = first.call, first.options
        self._opens_options = classes.are_in(packed[1])
        watch = first.watch = _watch(first)
        #: Each call opens it for itself.
        self._anew = watch is None or (bool(watch.notes) and _restored_in(watch) > opened_s)
        if watch is not None and not self._anew:
            if watch.notes:
                self._kept.append(first)
            else:
                self.shared, self._source, first.watch = first, None, None

    @classmethod
    def of(cls, digest: str, call: Callable[..., Any], options: Any) -> Function:
        """Return a callable that is here as a function that arrives nowhere."""
        made = cls.__new__(cls)
        made.digest, made.call, made.options, made.shared = digest, call, options, Lent(call, options)
        made.world = None
        return made

    def lend(self, call: CurrentCall) -> Lent:
        """Return a copy for one call, and have the call's arguments opened with its classes."""
        lent = self.shared
        if lent is not None:
            begin_opening(call)
            return lent
        if self._anew:
            opening = Opening(call.batch, call.index, call=call)
            begin_opening(opening)
            return self._opened(opening)
        lent = self._one_of_the_kept()
        begin_opening(Opening(call.batch, call.index, lent.classes, call=call))
        return lent

    def take_back(self, lent: Lent) -> None:
        """Put back what a call has changed of its copy.

        To be called when its result is packed, and not at all where a thread of the call goes on: it would change what
        the next one finds.
        """
        if lent.watch is None:
            return
        try:
            lent.watch.restore()
        except Exception:
            # Keys of a user's dict are hashed and compared. What is not whole again is not lent again.
            return
        if len(self._kept) < _MOST_KEPT:
            self._kept.append(lent)

    def _one_of_the_kept(self) -> Lent:
        try:
            return self._kept.pop()
        except IndexError:
            lent = self._opened(Opening())
            lent.watch = _watch(lent)
            return lent

    def _opened(self, opening: Opening) -> Lent:
        assert self._source is not None
        opening.caches = self._caches
        held = self._source.contents()
        with activeworld.opened_in(self.world), opened_in(opening):
            options = pickling.loads(self._packed_options) if self._opens_options else self.options
            lent = Lent(pickling.loads(held), options, held=held)
        lent.classes = opening.own or {}
        if lent.classes:
            # What they keep is of the classes of one copy.
            self._caches = []
        opening.caches, opening.cached = [], 0
        return lent


def function_of(digest: str, parts: Mapping[str, Any], world: World | None) -> Function:
    """Return a function by the parts that it was sent as; what prepares the process for it has run then."""
    setups.run_new(parts["setups"], world)
    return Function(digest, (parts["call"], parts["options"]), world)


def _watch(lent: Lent) -> Watch | None:
    """Return what can change of a copy; None where some of it cannot be seen."""
    held, lent.held = lent.held if isinstance(lent.held, memoryview) else None, b""
    try:
        watch = Watch((lent.call, *lent.classes.values()), lent.classes.values(), held)
    except Exception:
        # To look at it runs code of the user's: attributes, and how it is pickled.
        return None
    return None if watch.is_hidden else watch


def _restored_in(watch: Watch) -> float:
    """Return the seconds that it takes after a call that has changed nothing."""
    watch.restore()
    began = time.perf_counter()
    watch.restore()
    return time.perf_counter() - began


def standing_in(function: Function) -> Function:
    """Return what runs for a call whose value comes from others: it hands that on, with the modules of the call."""
    options = TaskOptions(name=function.options.name, ignore_result=function.options.ignore_result)
    made = Function.of(function.digest, _same, options)
    made.world = function.world
    return made


def _same(value: Any) -> Any:
    return value
