"""Where an embedded server lives: one for each user, project folder and Python environment."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from pathlib import Path
from urllib.parse import quote, unquote

from nbtasks.core.errors import ConfigError
from nbtasks.local.folder import private_folder, state_folder

from .keeper.layout import KEEPER_SOCKET, SERVER_SOCKET
from .sockets import folder_of, socket_folder


def is_embedded(url: str) -> bool:
    """Whether ``url`` is that of an embedded server, running or not."""
    return socket_path(url).name == SERVER_SOCKET


def socket_path(url: str) -> Path:
    """Return the path of the socket that a ``unix:`` URL names."""
    return Path(unquote(url.removeprefix("unix://")))


class ServerPlace:
    """The place of one embedded server, whether it runs or not.

    Attributes:
        folder: where its data and logs are.
        sockets: where its socket and that of its keeper are.
        url: its address, ``unix://...``.
    """

    def __init__(self, folder: Path, sockets: Path) -> None:
        self.folder = folder
        self.sockets = sockets
        self.url = "unix://" + quote(str(sockets / SERVER_SOCKET))

    @classmethod
    def of(cls, project: Path | None) -> ServerPlace:
        """Return the place of a project's server, by default that of the current folder, with its folders made.

        Raises:
            ConfigError: the state folder cannot be used, or the current folder is gone.
        """
        try:
            project = (project or Path.cwd()).resolve()
        except OSError as error:
            raise ConfigError(
                f"the current folder is gone ({error.strerror}): change to another one"
            ) from error
        state = state_folder()
        # A home folder may be shared by several machines.
        machine = os.uname().nodename if sys.platform == "linux" else ""
        identity = "\0".join([str(os.getuid()), machine, str(state), str(project), sys.prefix])
        name = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        folder = private_folder(private_folder(state / "embedded") / name)
        place = cls(folder, socket_folder(folder, max(len(KEEPER_SOCKET), len(SERVER_SOCKET))))
        _describe(folder, project)
        return place

    @classmethod
    def behind(cls, url: str) -> ServerPlace:
        """Return the place of the embedded server with this URL."""
        sockets = socket_path(url).parent
        return cls(folder_of(sockets), sockets)

    @property
    def keeper_socket(self) -> Path:
        """Where its keeper listens, as long as there is one."""
        return self.sockets / KEEPER_SOCKET


def _describe(folder: Path, project: Path) -> None:
    """Leave a note for people who wonder whose folder this is."""
    path = folder / "project.txt"
    # Nothing depends on it.
    with contextlib.suppress(OSError):
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(f"{project}\n{sys.prefix}\n", encoding="utf-8", errors="surrogateescape")
