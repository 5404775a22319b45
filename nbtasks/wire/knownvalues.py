"""Small values of types that everybody knows, for those who only show them: no code of the user's runs.

Python's own types, those of its library that hold one plain value, and numpy's numbers and arrays.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

from . import pickling

#: Bytes that are looked through.
_MOST = 4096
_CODECS = ("_codecs", "encode")
_OF_MODULES: dict[str, frozenset[str]] = {
    "builtins": frozenset({"bytearray", "complex", "frozenset", "range", "set"}),
    "collections": frozenset({"Counter", "OrderedDict"}),
    "datetime": frozenset({"date", "datetime", "time", "timedelta", "timezone"}),
    "decimal": frozenset({"Decimal"}),
    "fractions": frozenset({"Fraction"}),
    "pathlib": frozenset({"PosixPath", "PurePosixPath", "PureWindowsPath", "WindowsPath"}),
    "pathlib._local": frozenset({"PosixPath", "PurePosixPath", "PureWindowsPath", "WindowsPath"}),
    "uuid": frozenset({"SafeUUID", "UUID"}),
    "numpy": frozenset({"dtype", "ndarray"}),
    # Under the names of numpy 1 and of numpy 2.
    **dict.fromkeys(
        ("numpy.core.multiarray", "numpy._core.multiarray"), frozenset({"_reconstruct", "scalar"})
    ),
    **dict.fromkeys(("numpy.core.numeric", "numpy._core.numeric"), frozenset({"_frombuffer"})),
}


class _Reader(pickle.Unpickler):
    """Rebuilds values of these types alone."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == _CODECS or name in _OF_MODULES.get(module, ()):
            return super().find_class(module, name)
        raise ValueError(f"{module}.{name} is not a type that everybody knows")


def load_known(data: bytes | memoryview) -> Any:
    """Rebuild a small value of these types.

    Raises:
        ValueError: it is another one, a large one, or it cannot be rebuilt here.
    """
    try:
        return pickling.load_own(data, _MOST)
    except ValueError:
        if not 0 < len(data) <= _MOST or data[0] != pickling.INLINE:
            raise
    try:
        return _Reader(io.BytesIO(data)).load()
    except Exception as error:
        raise ValueError(f"not a value that everybody knows: {error}") from None
