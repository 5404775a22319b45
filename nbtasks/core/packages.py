"""Versions of packages whose objects travel in pickles, and how two machines differ in them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache

#: Module -> distribution. A pickle of one version may not open with another.
_OF_BOTH_ENDS = {"nbtasks": "nbtasks", "cloudpickle": "cloudpickle"}
_OF_DATA = {
    "numpy": "numpy",
    "pandas": "pandas",
    "polars": "polars",
    "pyarrow": "pyarrow",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "torch": "torch",
    "xarray": "xarray",
}


@cache
def versions() -> dict[str, str]:
    """Return module -> version of what is installed here; nothing is imported for it."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for module, distribution in {**_OF_BOTH_ENDS, **_OF_DATA}.items():
        try:
            found[module] = version(distribution)
        except PackageNotFoundError:
            continue
    return found


def in_use() -> dict[str, str]:
    """Return module -> version of what this process has imported, and of what both ends need."""
    return {
        module: version
        for module, version in versions().items()
        if module in _OF_BOTH_ENDS or module in sys.modules
    }


def differences(there: Mapping[str, str], here: Mapping[str, str]) -> tuple[str, ...]:
    """Return how the packages in use here differ over there, in words; patch releases are not told apart."""
    told = []
    for module, version in here.items():
        other = there.get(module)
        if other is None:
            told.append(f"no {module} (here {version})")
        elif _line(other) != _line(version):
            told.append(f"{module} {other} (here {version})")
    return tuple(told)


def _line(version: str) -> list[str]:
    return version.split(".")[:2]
