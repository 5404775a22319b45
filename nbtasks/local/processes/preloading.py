"""Imports modules of the user that a worker needs from its start; what goes wrong there is said in one sentence."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType

from nbtasks.core.errors import ConfigError


def import_module(name: str, what: str) -> ModuleType:
    """Return a module.

    Args:
        what: names it, for messages, such as ``include``.

    Raises:
        ConfigError: there is no such module, or its import raises.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if name == missing or name.startswith(f"{missing}."):
            raise ConfigError(
                f"{what}: there is no module {missing!r} in {Path.cwd()} or among the packages of {sys.executable}"
            ) from None
        raise _broken(name, what, error) from error
    except (AttributeError, TypeError, ValueError) as error:
        if not isinstance(name, str) or not name or name.startswith("."):
            raise ConfigError(
                f"{what}: {name!r} is no module's name; write it as in an import, package.module"
            ) from None
        raise _broken(name, what, error) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _broken(name, what, error) from error


def set_up_django() -> None:
    """Set Django up where the environment names its settings, so that models can be imported.

    Raises:
        ConfigError: it cannot be set up.
    """
    name = os.environ.get("DJANGO_SETTINGS_MODULE")
    if not name or importlib.util.find_spec("django") is None:
        return
    if not importlib.import_module("django.apps").apps.ready:
        what = f"DJANGO_SETTINGS_MODULE={name}"
        import_module(name, what)
        try:
            importlib.import_module("django").setup()
        except Exception as error:
            raise _broken(name, what, error) from error


def _broken(name: str, what: str, error: BaseException) -> ConfigError:
    return ConfigError(
        f"{what}: module {name!r} cannot be imported{_place(error)}: {type(error).__name__}: {error}; "
        f"`{Path(sys.executable).name} -c 'import {name}'` shows it in full"
    )


def _place(error: BaseException) -> str:
    """Return the line of the user's that has raised."""
    if isinstance(error, SyntaxError):
        # Its text says where it is.
        return ""
    here = str(Path(importlib.__file__).parent)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(("<frozen", here)) and frame.filename != __file__
    ]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
