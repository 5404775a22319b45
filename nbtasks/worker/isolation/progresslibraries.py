"""tqdm and rich.progress in calls, unmodified: their bars are the call's, to be shown in its card, and not printed.

What they write into a file of the task's own, or outside calls, they write as ever.
"""

from __future__ import annotations

import functools
import re
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from nbtasks.core.context import current_call
from nbtasks.core.progressbar import ProgressBar

from .awaiting import when_imported
from .bars import Bars, BarSource
from .copies import here
from .streams import TaggedStream, output_of

#: On an object of theirs: where its bar comes from; False where it prints as ever.
_MARK = "_nbtasks_bar"
_MARKUP = re.compile(r"\[/?[a-z#@][^\[\]]*\]|\[/\]")


def install() -> None:
    """Have them show their bars so as soon as a task imports them."""
    when_imported("tqdm.std", _adapt_tqdm)
    when_imported("tqdm.notebook", _adapt_tqdm_notebook)
    when_imported("rich.progress", _adapt_rich)


def _prints_here(file: Any) -> bool:
    """Whether what is written to a file is output of the call that runs here."""
    real = getattr(file, "_wrapped", file)
    return isinstance(real, TaggedStream) and current_call() is not None and not here.is_copy


def _show(source: BarSource) -> None:
    call = current_call()
    if call is None:
        return
    output = output_of(call)
    if output.bars is None:
        output.bars = Bars()
    output.bars.add(source)


# -- tqdm


class _TqdmBar:
    """A bar of tqdm's. Whoever has made it may let it go, which closes it."""

    def __init__(self, bar: Any) -> None:
        self._bar = weakref.ref(bar)
        self._last = ProgressBar(0.0)
        self.closed, self.leaves = False, True

    def bars(self) -> Iterable[ProgressBar]:
        bar = None if self.closed else self._bar()
        if bar is not None:
            self._last = self._read(bar)
        return [self._last]

    def close(self, bar: Any) -> None:
        self._last = self._read(bar, closed=True)
        self.leaves = bar.leave if bar.leave is not None else bar.pos == 0
        self.closed = True

    def _read(self, bar: Any, *, closed: bool = False) -> ProgressBar:
        seconds = bar._time() - bar.start_t if hasattr(bar, "start_t") else 0.0
        taken = bar._ema_dt() if bar.smoothing else 0.0
        moved = bar.n - bar.initial
        rate = bar._ema_dn() / taken if taken else moved / seconds if seconds else None
        description = str(bar.desc or "").rstrip().removesuffix(":")
        return ProgressBar(
            bar.n, bar.total, description, bar.postfix or "", bar.unit, seconds, rate, abs(bar.pos), closed
        )


class _Nowhere:
    """Takes what is not to be printed."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass


def _source(bar: Any) -> Any:
    found = bar.__dict__.get(_MARK)
    if found is None and _prints_here(getattr(bar, "fp", None)):
        source = _TqdmBar(bar)
        _show(source)
        found = source
    setattr(bar, _MARK, found or False)
    return found


def _adapt_tqdm(module: Any) -> None:
    kind = module.tqdm
    display, clear, close = kind.display, kind.clear, kind.close

    @functools.wraps(display)
    def display_here(self: Any, *args: Any, **kwargs: Any) -> Any:
        return True if _source(self) else display(self, *args, **kwargs)

    @functools.wraps(clear)
    def clear_here(self: Any, *args: Any, **kwargs: Any) -> Any:
        return None if self.__dict__.get(_MARK) else clear(self, *args, **kwargs)

    @functools.wraps(close)
    def close_here(self: Any) -> Any:
        source = self.__dict__.get(_MARK)
        if not source or self.disable:
            return close(self)
        source.close(self)
        before, self.fp = self.fp, _Nowhere()
        try:
            return close(self)
        finally:
            self.fp = before

    kind.display, kind.clear, kind.close = display_here, clear_here, close_here


def _adapt_tqdm_notebook(module: Any) -> None:
    """In a call tqdm's bar for notebooks is an ordinary one: widgets are the kernel's."""
    kind, plain = module.tqdm_notebook, module.std_tqdm
    make, printer = kind.__init__, kind.status_printer

    @functools.wraps(make)
    def make_here(self: Any, *args: Any, **kwargs: Any) -> None:
        if current_call() is None or here.is_copy:
            make(self, *args, **kwargs)
            return
        kwargs.pop("display", None)
        self._nbtasks_plain = True
        plain.__init__(self, *args, **kwargs)

    @functools.wraps(printer)
    def printer_here(*args: Any, **kwargs: Any) -> Any:
        if current_call() is None or here.is_copy:
            return printer(*args, **kwargs)
        return plain.status_printer(args[0])

    kind.__init__, kind.status_printer = make_here, staticmethod(printer_here)
    for name in ("display", "__iter__", "update", "close", "reset"):
        setattr(kind, name, _plain_if_marked(getattr(kind, name), getattr(plain, name)))


def _plain_if_marked(of_notebook: Callable[..., Any], of_plain: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(of_notebook)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        chosen = of_plain if self.__dict__.get("_nbtasks_plain") else of_notebook
        return chosen(self, *args, **kwargs)

    return method


# -- rich


class _RichBars:
    """The tasks of one ``rich.progress.Progress``. It is read without its lock, which a task may hold for long."""

    def __init__(self, progress: Any) -> None:
        self._progress = progress
        self._last: list[ProgressBar] = []
        self.closed = False
        self.leaves = not progress.live.transient

    def bars(self) -> Iterable[ProgressBar]:
        if self._progress is not None:
            tasks = [task for task in list(self._progress._tasks.values()) if task.visible]
            self._last = [self._read(task) for task in tasks]
        return self._last

    def close(self) -> None:
        self.bars()
        self.closed, self._progress = True, None

    def _read(self, task: Any) -> ProgressBar:
        seconds = task.elapsed or 0.0
        rate = task.completed / seconds if seconds else None
        description = _MARKUP.sub("", str(task.description)).strip()
        return ProgressBar(
            task.completed, task.total, description, "", "", seconds, rate, 0, bool(task.finished)
        )


def _adapt_rich(module: Any) -> None:
    kind = module.Progress
    start, stop, refresh = kind.start, kind.stop, kind.refresh

    @functools.wraps(start)
    def start_here(self: Any) -> None:
        if self.disable or not _prints_here(self.console.file):
            start(self)
        elif not self.__dict__.get(_MARK):
            source = _RichBars(self)
            setattr(self, _MARK, source)
            # Its ``track()`` counts as long as this says so.
            self.live._started = True
            _show(source)

    @functools.wraps(stop)
    def stop_here(self: Any) -> None:
        source = self.__dict__.pop(_MARK, None)
        if source:
            self.live._started = False
            source.close()
        else:
            stop(self)

    @functools.wraps(refresh)
    def refresh_here(self: Any) -> None:
        if not self.__dict__.get(_MARK):
            refresh(self)

    kind.start, kind.stop, kind.refresh = start_here, stop_here, refresh_here
