"""Which installed modules a function needs where it arrives, and for which of its names."""

from __future__ import annotations

import functools
import sys
from collections import defaultdict
from types import ModuleType
from typing import Any

from nbtasks.core.globals import captures, has_code

from .manifest import Needs
from .sources import imports_of_code

_MOST_SEEN = 500
_OURS = ("builtins", "__main__", "__mp_main__", "nbtasks")


def needed_modules(function: Any) -> dict[str, list[str]]:
    """Return module -> names of the notebook that come from it, for the functions below a function, too."""
    needs: defaultdict[str, set[str]] = defaultdict(set)
    seen: set[int] = set()
    waiting = [function]
    while waiting and len(seen) < _MOST_SEEN:
        one = waiting.pop()
        if id(one) in seen or not has_code(one):
            continue
        seen.add(id(one))
        for name, value in captures(one):
            module = _module_of(value)
            if module is not None and module not in _OURS and module not in sys.stdlib_module_names:
                needs[module].add(name)
            waiting.append(value)
    return {module: sorted(names) for module, names in needs.items()}


def installed_versions(needs: Needs) -> dict[str, str]:
    """Return name -> version of the installed packages that pickling came across, as far as they tell it."""
    names = needs.modules.union(*(imports_of_code(code)[0] for code in needs.codes))
    tops = {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {*_OURS}
    return {top: version for top in sorted(tops) if (version := _version_of(top))}


def _version_of(package: str) -> str:
    # What is not loaded here is imported by the task itself.
    said = getattr(sys.modules.get(package), "__version__", None)
    return said if type(said) is str else _distributed_version(package)


@functools.cache
def _distributed_version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except (PackageNotFoundError, ValueError):
        return ""


def say_who_needs(error: ModuleNotFoundError, needs: dict[str, list[str]]) -> None:
    """Have an error name what of the notebook needs the module that is missing here."""
    names = needs.get((error.name or "").partition(".")[0])
    if names:
        text = f"{error.msg}: {', '.join(names)} of the notebook needs it; install it where the workers run"
        error.msg, error.args = text, (text,)


def _module_of(value: Any) -> str | None:
    if isinstance(value, ModuleType):
        name: Any = value.__name__
    else:
        name = getattr(value if callable(value) else type(value), "__module__", None)
    return name.partition(".")[0] if isinstance(name, str) else None
