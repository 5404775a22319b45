"""``sys.stdout`` and ``sys.stderr`` of a child: what is written goes to the call that writes, or to the real stream.

They are to a task what a process's streams are to a program, and what it does to them is for itself: it may close or
detach them, write bytes, choose another encoding. The next call finds them as new.
"""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Callable, Iterable
from typing import Any, TextIO

from nbtasks.core.context import CurrentCall, current_call
from nbtasks.core.readable import exact

from .output import Output
from .subprocesses import tag

_NAMES = {"o": "<stdout>", "e": "<stderr>"}
#: Where Python keeps its streams.
_PLACES = ("stdout", "stderr", "__stdout__", "__stderr__")
_CLOSED = "I/O operation on closed file."


class TaggedStream(io.TextIOBase):
    """Stands in for a text stream.

    Args:
        stream: ``o`` or ``e``.
        real: where goes what belongs to no call.
    """

    def __init__(self, stream: str, real: TextIO) -> None:
        self._stream = stream
        self._real = real
        self._buffer = TaggedBuffer(stream, real)
        self._own = frozenset((*vars(self), "_own"))

    def renew(self) -> None:
        """Forget what a call has set, in place of a method say."""
        if len(vars(self)) > len(self._own):
            for name in set(vars(self)) - self._own:
                del vars(self)[name]

    def write(self, text: str) -> int:
        """Keep the text with the call that has written it."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        text, call = exact(text), current_call()
        if call is None or call.is_over:
            self._real.write(text)
            self._real.flush()
            return len(text)
        output = output_of(call)
        ways = output.ways
        if ways:
            output.write(self._stream, ways[self._stream].spelled(text) if self._stream in ways else text)
        else:
            output.write(self._stream, text)
        if shown:
            shown[0](call, self._stream, text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override]
        """Write several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the real stream."""
        self._check_open()
        if current_call() is None:
            self._real.flush()

    @property
    def real(self) -> TextIO:
        """What it stands in for."""
        return self._real

    def reconfigure(
        self,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        line_buffering: bool | None = None,
        write_through: bool | None = None,
    ) -> None:
        """Have what the running call writes from now on go through another encoding; the rest is as it is."""
        way = self._way()
        way.check_open()
        if encoding is not None:
            codecs.lookup(encoding)
            way.encoding, way.errors = encoding, errors or "strict"
        elif errors is not None:
            way.errors = errors
        way.is_chosen = way.is_chosen or encoding is not None or errors is not None

    def close(self) -> None:
        """Have the running call write nothing more; others do."""
        if current_call() is not None:
            self._way().problem = _CLOSED

    def detach(self) -> Any:
        """Return what bytes are written to; the running call writes no text any more."""
        self._check_open()
        if current_call() is not None:
            self._way().problem = "underlying buffer has been detached"
        return self._buffer

    @property
    def closed(self) -> bool:
        """Whether the running call has closed it."""
        way = self._known_way()
        return way is not None and way.problem == _CLOSED

    @property
    def buffer(self) -> Any:
        """What bytes are written to."""
        return self._buffer

    def fileno(self) -> int:
        """Return the real descriptor."""
        self._check_open()
        return self._real.fileno()

    def isatty(self) -> bool:
        """Return False."""
        self._check_open()
        return False

    def writable(self) -> bool:
        """Return True."""
        self._check_open()
        return True

    @property
    def name(self) -> str:
        """What Python calls the stream."""
        return _NAMES[self._stream]

    @property
    def mode(self) -> str:
        """As Python opens it."""
        return "w"

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding that the running call has chosen, or the real stream's."""
        way = self._known_way()
        return way.encoding if way is not None else _encoding(self._real)

    @property
    def errors(self) -> str:  # type: ignore[override]
        """What becomes of characters that the encoding does not have."""
        way = self._known_way()
        return way.errors if way is not None else _errors(self._real)

    @property
    def line_buffering(self) -> bool:
        """As Python opens it."""
        return bool(getattr(self._real, "line_buffering", False))

    @property
    def write_through(self) -> bool:
        """Return True: nothing is held back."""
        return True

    def __repr__(self) -> str:
        return f"<nbtasks stream name={self.name!r} mode='w' encoding={self.encoding!r}>"

    def _check_open(self) -> None:
        way = self._known_way()
        if way is not None:
            way.check_open()

    def _known_way(self) -> _Way | None:
        call = current_call()
        if call is None or type(call.output) is not Output:
            return None
        way: _Way | None = call.output.ways.get(self._stream)
        return way

    def _way(self) -> _Way:
        call = current_call()
        if call is None:
            return _Way(_encoding(self._real), _errors(self._real))
        ways = output_of(call).ways
        if self._stream not in ways:
            ways[self._stream] = _Way(_encoding(self._real), _errors(self._real))
        found: _Way = ways[self._stream]
        return found


class _Way:
    """How one call writes to a stream, where that is not as usual.

    Attributes:
        is_chosen: the call has chosen the encoding, or what becomes of characters that it does not have.
        problem: why it can write no more; empty where it can.
    """

    def __init__(self, encoding: str, errors: str) -> None:
        self.encoding, self.errors = encoding, errors
        self.is_chosen = False
        self.problem = ""

    def check_open(self) -> None:
        """Raise ValueError if the call has closed or detached the stream."""
        if self.problem:
            raise ValueError(self.problem)

    def spelled(self, text: str) -> str:
        """Return what is read where the text was written so.

        Raises:
            ValueError: it cannot be written.
        """
        self.check_open()
        if not self.is_chosen:
            return text
        return text.encode(self.encoding, self.errors).decode(self.encoding, "replace")


class TaggedBuffer(io.BufferedIOBase):
    """What bytes are written to below a text stream: they are read as UTF-8, in their order with the text."""

    def __init__(self, stream: str, real: TextIO) -> None:
        self._stream = stream
        self._real = real

    def write(self, data: Any) -> int:
        """Keep the bytes, as text, with the call that has written them."""
        if isinstance(data, str):
            raise TypeError("a bytes-like object is required, not 'str'")
        with memoryview(data) as view:
            whole = view.tobytes()
        call, real = current_call(), getattr(self._real, "buffer", None)
        if call is not None:
            output_of(call).write_bytes(self._stream, whole)
            if shown:
                shown[0](call, self._stream, whole.decode(errors="replace"))
        elif real is not None:
            real.write(whole)
        else:
            self._real.write(whole.decode(errors="replace"))
        return len(whole)

    def flush(self) -> None:
        """Flush the real stream."""
        if current_call() is None:
            self._real.flush()

    def close(self) -> None:
        """Do nothing: the next call writes, too."""

    def fileno(self) -> int:
        """Return the real descriptor."""
        return self._real.fileno()

    def writable(self) -> bool:
        """Return True."""
        return True

    @property
    def raw(self) -> Any:
        """The lowest layer: nothing is held back, so it is this one."""
        return self

    @property
    def name(self) -> str:
        """What Python calls the stream."""
        return _NAMES[self._stream]

    @property
    def mode(self) -> str:
        """As Python opens it."""
        return "wb"


def output_of(call: CurrentCall) -> Output:
    """Return what a call has printed."""
    # A task can reach its own record, and put anything there.
    if type(call.output) is not Output:
        call.output = Output()
    output: Output = call.output
    return output


def _encoding(real: TextIO) -> str:
    return getattr(real, "encoding", None) or "utf-8"


def _errors(real: TextIO) -> str:
    return getattr(real, "errors", None) or "strict"


#: Told of what calls print: the call, ``o`` or ``e``, the text. Empty where only their cards show it.
shown: list[Callable[[CurrentCall, str, str], None]] = []
#: Those that stand in for stdout and stderr, once they are installed.
tagged: list[TaggedStream] = []


def install() -> None:
    """Put the tagged streams in place of Python's."""
    tagged[:] = TaggedStream("o", sys.stdout), TaggedStream("e", sys.stderr)
    renew()
    tag()


def restore() -> None:
    """Put the tagged streams in place again. No call runs."""
    sys.stdout, sys.stderr = tagged


def renew(alone: bool = True) -> None:
    """Have all of Python's names mean the tagged streams, as new.

    Args:
        alone: no call runs, which may have put others there for its own time.
    """
    if not alone:
        if sys.stdout is None:
            sys.stdout = tagged[0]
        if sys.stderr is None:
            sys.stderr = tagged[1]
        return
    for name, stream in zip(_PLACES, tagged * 2, strict=True):
        if getattr(sys, name, None) is not stream:
            setattr(sys, name, stream)
    for stream in tagged:
        stream.renew()


def give_back() -> None:
    """Put the real streams in place again, for good."""
    for name in _PLACES:
        stream = getattr(sys, name, None)
        if isinstance(stream, TaggedStream):
            setattr(sys, name, stream.real)
