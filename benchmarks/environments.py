"""One virtual environment for each peer, made once and kept in ``build/bench-envs``."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "bench-envs"
#: Every cell may send arrays and fetch URLs.
COMMON = ("numpy", "httpx")
INSTALL_S = 900


class NotInstallable(Exception):
    """A peer cannot be installed on this Python; the text says why."""


def prepare(name: str, requirements: tuple[str, ...]) -> Path:
    """Return the Python of an environment that holds what a peer needs; ``.`` in a requirement is the checkout.

    Raises:
        NotInstallable: pip or uv says no.
    """
    folder = FOLDER / name
    python = folder / "bin" / "python"
    stamp = folder / "stamp.json"
    wanted = _fingerprint(requirements)
    if not (stamp.exists() and stamp.read_text() == wanted and python.exists()):
        shutil.rmtree(folder, ignore_errors=True)
        _make(folder)
        _install(python, [*(part.replace(".[", f"{ROOT}[") for part in requirements), *COMMON])
        stamp.write_text(wanted)
    elif any(part.startswith(".") for part in requirements):
        _refresh(python)
    return python


def _refresh(python: Path) -> None:
    """Install the checkout again: its version does not say what has changed in it."""
    again = ["--reinstall-package", "nbtasks"] if shutil.which("uv") else ["--force-reinstall"]
    _install(python, ["--no-deps", *again, str(ROOT)])


def import_path() -> Path:
    """Return a folder from which ``benchmarks`` can be imported, and nothing else of the checkout."""
    folder = FOLDER / "path"
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "benchmarks"
    if not link.is_symlink():
        link.symlink_to(ROOT / "benchmarks")
    return folder


def _fingerprint(requirements: tuple[str, ...]) -> str:
    # What uv has made has no pip in it.
    tool = "uv" if shutil.which("uv") else "pip"
    facts = [sys.version, platform.machine(), tool, *requirements, *COMMON]
    return json.dumps({"sha256": hashlib.sha256("\0".join(facts).encode()).hexdigest()})


def _make(folder: Path) -> None:
    if shutil.which("uv"):
        _run(["uv", "venv", "--quiet", "--python", sys.executable, str(folder)])
    else:
        _run([sys.executable, "-m", "venv", str(folder)])


def _install(python: Path, arguments: list[str]) -> None:
    if shutil.which("uv"):
        _run(["uv", "pip", "install", "--quiet", "--python", str(python), *arguments])
    else:
        _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments])


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_S)
    except subprocess.CalledProcessError as error:
        lines = [line.strip() for line in error.stderr.splitlines() if line.strip()]
        raise NotInstallable(" ".join(lines[-3:])) from error
    except subprocess.TimeoutExpired as error:
        raise NotInstallable(f"not installed within {INSTALL_S} s") from error
