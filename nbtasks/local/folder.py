"""The private folder in which nbtasks keeps its state on this machine."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from nbtasks.core.errors import ConfigError

HOME_VARIABLE = "NBTASKS_HOME"


def state_folder() -> Path:
    """Return the state folder, made with mode 0700 where it is missing.

    It is ``$NBTASKS_HOME``, else ``$XDG_STATE_HOME/nbtasks``, else ``~/.local/state/nbtasks``.

    Raises:
        ConfigError: it belongs to somebody else, others may read it, or it cannot be made.
    """
    return private_folder(_wanted())


def private_folder(path: Path, *, follow: bool = True) -> Path:
    """Return ``path``, made with mode 0700 where it is missing, after checking owner and mode.

    Args:
        path: the folder; its parents are made too.
        follow: whether ``path`` may be a symbolic link. Say False in folders that everybody may write to.

    Raises:
        ConfigError: it belongs to somebody else, others may read it, or it cannot be made.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = path.stat() if follow else path.lstat()
    except OSError as error:
        raise ConfigError(
            f"the state folder {path} cannot be made: {error.strerror}; "
            f"set {HOME_VARIABLE} to a folder that you may write to"
        ) from error
    if not stat.S_ISDIR(facts.st_mode):
        raise ConfigError(f"{path} is not a folder; move it away, or set {HOME_VARIABLE} to another folder")
    check_private(path, facts, wanted_mode="700")
    return path


def check_private(path: Path, facts: os.stat_result, wanted_mode: str) -> None:
    """Check that a file or folder is ours alone, as ssh does with its keys.

    Raises:
        ConfigError: somebody else owns it, or others may use it; the message holds the command that helps.
    """
    if sys.platform == "win32":
        return
    if facts.st_uid != os.getuid():
        raise ConfigError(
            f"{path} belongs to user id {facts.st_uid}, and this process runs as {os.getuid()}; "
            f"set {HOME_VARIABLE} to a folder of your own"
        )
    mode = stat.S_IMODE(facts.st_mode)
    if mode & 0o077:
        raise ConfigError(
            f"{path} may be used by other users (mode {mode:o}); run: chmod {wanted_mode} {_quoted(path)}"
        )


def _quoted(path: Path) -> str:
    text = str(path)
    return (
        text
        if text.replace("/", "").replace(".", "").replace("-", "").replace("_", "").isalnum()
        else repr(text)
    )


def _wanted() -> Path:
    own = os.environ.get(HOME_VARIABLE)
    if own:
        return Path(own).expanduser().absolute()
    shared = os.environ.get("XDG_STATE_HOME")
    base = Path(shared) if shared and Path(shared).is_absolute() else Path("~/.local/state").expanduser()
    return base / "nbtasks"
