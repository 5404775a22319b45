"""The only place that pickles.

Plain pickle is used for exact builtin types only: it would accept instances of notebook classes, by a name that no
worker can import. Everything else goes through cloudpickle. Big buffers travel outside the pickle, uncopied.
"""

from __future__ import annotations

import functools
import io
import pickle
import pickletools
import struct
from collections.abc import Callable
from types import CellType, CodeType, FunctionType
from typing import Any, Protocol

import cloudpickle

from nbtasks.core.errors import NotPicklable
from nbtasks.core.globals import mentioned_by, read_by, submodules_of

from . import explaining
from .explaining import Culprit
from .kinds import classes, figures, generators, instances, wrappers
from .kinds.stationary import LOGGED_IN, is_logged_in
from .modules import byname
from .modules.toplevel import MARKS, Standing
from .rebuilding import rebuilt, rebuilt_after

#: Their instances never change.
SCALARS = frozenset({int, str, float, bytes, bool, type(None), complex})
#: Those of them that most calls take and give.
SMALL = frozenset({int, float, bool, type(None)})
_MOST_LOOKED_AT = 200

#: Buffers from here on travel outside the pickle.
OUT_OF_BAND_BYTES = 32 * 1024

#: Where a buffer begins, so that arrays in it are aligned.
_ALIGN_BYTES = 64
INLINE = 0x80
_MOST_LOOKED_THROUGH = 4096
#: What a pickle does that may run code, or brings in what lies elsewhere.
_CALLS = frozenset(
    {
        "GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "REDUCE", "BUILD", "EXT1", "EXT2", "EXT4",
        "PERSID", "BINPERSID", "NEXT_BUFFER", "READONLY_BUFFER",
    }
)  # fmt: skip
_PARTS = b"\x01"


class SupportsWrite(Protocol):
    """What a pickle is written to."""

    def write(self, data: Any, /) -> object:
        """Take more."""


Parts = list["bytes | memoryview"]


class _Apart:
    """Takes the big buffers of a value while it is pickled."""

    def __init__(self) -> None:
        self.buffers: list[pickle.PickleBuffer] = []

    def __call__(self, buffer: pickle.PickleBuffer) -> bool:
        """Return whether the buffer shall lie in the pickle."""
        try:
            small = buffer.raw().nbytes < OUT_OF_BAND_BYTES
        except BufferError:
            small = True
        if not small:
            self.buffers.append(buffer)
        return small


def dumps(value: Any, plain: bool | None = None) -> Parts:
    """Return a value as parts whose concatenation :func:`loads` reads.

    Args:
        plain: what :func:`is_plain` says of it, where that is known.

    Raises:
        NotPicklable: it cannot travel; the message names the part that cannot.
    """
    if type(value) in SMALL:
        return [pickle.dumps(value, protocol=5)]
    apart = _Apart()
    if is_plain(value) if plain is None else plain:
        data = pickle.dumps(value, protocol=5, buffer_callback=apart)
    else:
        data = _cloudpickled(value, apart)
    if not apart.buffers:
        return [data]
    raw = [buffer.raw() for buffer in apart.buffers]
    lengths = [len(data), *(view.nbytes for view in raw)]
    head = _PARTS + struct.pack(f"<I{len(lengths)}Q", len(lengths), *lengths)
    parts: Parts = [head, data, bytes(-(len(head) + len(data)) % _ALIGN_BYTES)]
    for view in raw:
        parts += [view, bytes(-view.nbytes % _ALIGN_BYTES)] if view.nbytes % _ALIGN_BYTES else [view]
    return parts


def loads(data: bytes | memoryview) -> Any:
    """Rebuild a value from verified bytes. Arrays come back writable: in place where ``data`` is, else as copies."""
    if data[0] == INLINE:
        # For each call: as few steps as can be.
        try:
            return pickle.loads(data)
        except Exception as error:
            return rebuilt_after(error, data)
    view = memoryview(data)
    (n,) = struct.unpack_from("<I", view, 1)
    lengths = struct.unpack_from(f"<{n}Q", view, 5)
    pieces, at = [], 5 + 8 * n
    for length in lengths:
        pieces.append(view[at : at + length])
        at += length
        at += -at % _ALIGN_BYTES
    return rebuilt(pieces[0], [bytearray(piece) if piece.readonly else piece for piece in pieces[1:]])


def load_own(data: bytes | memoryview, most: int = _MOST_LOOKED_THROUGH) -> Any:
    """Rebuild a small value that is made of Python's own types alone, so that no other code runs.

    Args:
        most: bytes that it may take.

    Raises:
        ValueError: it is another one.
    """
    if len(data) > most or not len(data) or data[0] != INLINE:
        raise ValueError("not a small value")
    if any(opcode.name in _CALLS for opcode, _, _ in pickletools.genops(bytes(data))):
        raise ValueError("not a value of Python's own types")
    return pickle.loads(data)


def load_parts(parts: Parts) -> Any:
    """Rebuild a value from what :func:`dumps` has returned; its arrays are those that were written, read-only."""
    if len(parts) == 1:
        return rebuilt(parts[0])
    return rebuilt(parts[1], [part.toreadonly() for part in parts if isinstance(part, memoryview)])


def dump_function(function: Any) -> bytes:
    """Return a function (or another callable) by value; what it takes from modules goes by name.

    Generators of random numbers that it captures are asked for seeds.

    Raises:
        NotPicklable: something that it captures cannot travel; the message names the variable.
    """
    with generators.captured():
        return b"".join(dumps(function))


def has_buffers(packed: bytes) -> bool:
    """Whether something that was pickled has large buffers of which :func:`loads` makes arrays in place."""
    return packed[0] != INLINE


#: Pickles a value made of builtin types.
dump_plain: Callable[[Any], bytes] = functools.partial(pickle.dumps, protocol=5)
load_plain = pickle.loads


def is_plain(value: Any) -> bool:
    """Whether a value is made of numbers, texts, arrays and collections of them, and not too many to look at."""
    return _is_plain(value, [_MOST_LOOKED_AT])


def _is_plain(value: Any, budget: list[int]) -> bool:
    kind = type(value)
    if kind in SCALARS:
        return True
    budget[0] -= 1
    if budget[0] < 0:
        return False
    if kind is tuple or kind is list:
        return len(value) <= _MOST_LOOKED_AT and all(_is_plain(item, budget) for item in value)
    if kind is dict:
        return len(value) <= _MOST_LOOKED_AT and all(
            _is_plain(key, budget) and _is_plain(item, budget) for key, item in value.items()
        )
    # numpy arrays of numbers; looked up by name, so that numpy is not imported for it.
    return kind.__module__ == "numpy" and kind.__name__ == "ndarray" and not value.dtype.hasobject


def _cloudpickled(value: Any, apart: _Apart | None) -> bytes:
    try:
        return _written(value, apart)
    except Exception as first:
        error = first
    if byname.needs_here() is not None:
        # It goes where local modules go, too, and they may have what cannot travel.
        if apart is not None:
            apart.buffers.clear()
        try:
            return _written(value, apart, standing=_standing())
        except Exception as second:
            error = second
    raise explaining.explained(value, error, _try) from error


def _written(
    value: Any, apart: _Apart | None, left_out: frozenset[str] = frozenset(), standing: Standing | None = None
) -> bytes:
    file = io.BytesIO()
    pickler = FunctionPickler(file, protocol=5, buffer_callback=apart)
    pickler.left_out, pickler.standing = left_out, standing
    try:
        pickler.dump(value)
    except Exception:
        # What only a string speaks of may not be meant: nothing fails for it.
        stays = left_out.union(name for name, part in pickler.mentioned.items() if not travels(part))
        if stays == left_out:
            raise
    else:
        return file.getvalue()
    if apart is not None:
        apart.buffers.clear()
    return _written(value, apart, stays, standing)


def _standing() -> Standing:
    return Standing(lambda value: _passes(value, _try_alone))


class FunctionPickler(cloudpickle.Pickler):  # type: ignore[misc] # it has no types
    """Asks our own reducers before cloudpickle's.

    Attributes:
        mentioned: globals that travel because strings speak of them.
        left_out: names of such that do not.
        standing: what goes by name because it cannot travel otherwise.
    """

    def __init__(self, file: SupportsWrite, **options: Any) -> None:
        super().__init__(file, **options)
        self.mentioned: dict[str, Any] = {}
        self.left_out: frozenset[str] = frozenset()
        self.standing: Standing | None = None
        self._marks: Standing | None = None
        #: What stands for the cells of closures until they are filled, by their place in memory.
        self._cells: dict[int, CellType] = {}
        self._needs = byname.needs_here()

    def reducer_override(self, value: Any) -> Any:  # noqa: D102 # it is cloudpickle's
        if self._needs is not None:
            byname.note(self._needs, value)
        if type(value) is CodeType:
            return self._reduced_code(value)
        standing = self._marks_here() if type(value) in MARKS else self.standing
        if standing is not None:
            found = standing.reduced(value)
            if found is not NotImplemented:
                return found
        if is_logged_in(type(value)):
            raise NotPicklable(f"{type(value).__name__} {LOGGED_IN}")
        for reduced in _REDUCERS:
            found = reduced(value)
            if found is not NotImplemented:
                return found
        # The last one: what has a reducer of its own is a function, too.
        found = byname.reduced(self, value)
        return super().reducer_override(value) if found is NotImplemented else found

    def _marks_here(self) -> Standing:
        if self._marks is None:
            self._marks = Standing(lambda _: False)
        return self._marks

    def _dynamic_function_reduce(self, function: FunctionType) -> Any:
        """Reduce a function by value, with the globals that we find in it."""
        rebuild, args, (attributes, state), *rest = super()._dynamic_function_reduce(function)
        mentioned = {name: part for name, part in mentioned_by(function) if name not in self.left_out}
        self.mentioned |= mentioned
        state["__globals__"] = there = {**dict(read_by(function)), **mentioned}
        closed_over = map(_content, function.__closure__ or ())
        state["_cloudpickle_submodules"] = submodules_of(function, [*there.values(), *closed_over])
        return rebuild, args, (attributes, state), *rest

    def _reduced_code(self, code: CodeType) -> tuple[Any, ...]:
        """Keep where code comes from: cloudpickle leaves it out from 3.1.3 on, and tracebacks would show no lines."""
        constructor, args = self.dispatch_table[CodeType](code)
        return code_from, (constructor, args, code.co_filename)

    def _function_getnewargs(self, function: Any) -> tuple[Any, ...]:
        """Let functions that share a variable of a closure share it again; cloudpickle gives each one of its own."""
        made = super()._function_getnewargs(function)
        if function.__closure__ is None:
            return tuple(made)
        cells = (self._cells.setdefault(id(cell), CellType()) for cell in function.__closure__)
        return (*made[:-1], tuple(cells))


#: Each returns how a kind of its own is pickled, or NotImplemented.
_REDUCERS: tuple[Callable[[Any], Any], ...] = (
    classes.reduced,
    generators.reduced,
    wrappers.reduced,
    figures.reduced,
    instances.reduced,
)


def code_from(constructor: Callable[..., CodeType], args: tuple[Any, ...], filename: str) -> CodeType:
    """Rebuild a code object; named in pickles, so it keeps its name and place."""
    return constructor(*args).replace(co_filename=filename)


def culprit(value: Any) -> Culprit | None:
    """Return what it is in a value that cannot travel, or None when all of it can."""
    return explaining.culprit(value, _try)


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None


def travels(value: Any) -> bool:
    """Whether a value can be written."""
    return _passes(value, _try)


def _passes(value: Any, attempt: Callable[[Any], None]) -> bool:
    try:
        attempt(value)
    except Exception:
        return False
    return True


def _try(value: Any) -> None:
    pickler = FunctionPickler(io.BytesIO(), protocol=5)
    if byname.needs_here() is not None:
        pickler.standing = _standing()
    pickler.dump(value)


def _try_alone(value: Any) -> None:
    FunctionPickler(io.BytesIO(), protocol=5).dump(value)


def simple_call(call: tuple[tuple[Any, ...], dict[str, Any]]) -> bytes | None:
    """Return (args, kwargs) pickled where it is one small scalar, the common case of a map; else None."""
    args, kwargs = call
    if not kwargs and len(args) == 1:
        kind = type(args[0])
        if kind in SMALL or (kind in (str, bytes) and len(args[0]) < OUT_OF_BAND_BYTES):
            return pickle.dumps(call, protocol=5)
    return None
