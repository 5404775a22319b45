"""Whether a value that was written can be read again: some pickle, and do not come back."""

from __future__ import annotations

import weakref
from typing import Any

from nbtasks.core.errors import NotPicklable, SoftTimeLimitExceeded
from nbtasks.core.interruption import Interrupted
from nbtasks.core.readable import name_of, text_of

from . import pickling
from .pickling import Parts

#: Values up to here are always read; of larger ones the first of each class.
_ALWAYS_BYTES = 16 * 1024


class Readable:
    """Reads what a process writes, where that may fail."""

    def __init__(self) -> None:
        self._proven: weakref.WeakSet[type] = weakref.WeakSet()

    def check(self, value: Any, parts: Parts, size: int) -> None:
        """Read a value that was written and is not plain.

        Raises:
            NotPicklable: it cannot be read.
        """
        kind: type = type(value)
        if size > _ALWAYS_BYTES and kind in self._proven:
            return
        try:
            pickling.load_parts(parts)
        except (Interrupted, SoftTimeLimitExceeded):
            raise
        except BaseException as error:
            raise NotPicklable(
                f"{name_of(value)} can be written, and not be read again: {name_of(error)}: {text_of(error, 500)}; "
                "return plain values, or mend how its class is pickled (__reduce__, __setstate__)"
            ) from error
        self._proven.add(kind)
