"""The URL of a SQLite file: what it may say, read strictly. Pure, but for the folder that a relative path begins at."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from nbtasks.core.errors import ConfigError

from .urlparts import refuse_control, unknown

FORMS = "sqlite:////absolute/path/to/file.db, or sqlite:///relative/path.db; on Windows sqlite:///C:/path/to/file.db"
#: As SQLAlchemy, and Celery with it, writes it.
_SCHEME = re.compile(r"(?:(?:sqla|sqlalchemy|db|database)\+)?sqlite(?:\+pysqlite)?:", re.IGNORECASE)
_KNOWN = ("synchronous",)
_SYNCHRONOUS = ("full", "normal")
_DRIVE = re.compile(r"/[A-Za-z]:[/\\]")


@dataclass(frozen=True)
class SqliteUrl:
    """What a URL says.

    Attributes:
        path: of the file, absolute.
        synchronous: FULL: what was confirmed survives a power failure; NORMAL: the crash of any process.
    """

    path: str
    synchronous: str = "FULL"

    @property
    def shown(self) -> str:
        """The URL without options."""
        path = Path(self.path).as_posix()
        return f"sqlite:///{quote(path, safe='/:')}"

    @property
    def whole(self) -> str:
        """The URL as it leads there from any folder."""
        return self.shown if self.synchronous == "FULL" else f"{self.shown}?synchronous=normal"


def is_sqlite(url: str) -> bool:
    """Whether a URL is that of a SQLite file, well formed or not."""
    return _SCHEME.match(url) is not None


def parse_sqlite(url: str, what: str = "broker") -> SqliteUrl:
    """Read a URL.

    Args:
        what: which setting it is, for messages.

    Raises:
        ConfigError: it is none of the accepted forms, or has an option that is not known.
    """
    refuse_control(url, what, FORMS)
    rest = url.partition(":")[2]
    if not rest.startswith("///"):
        raise ConfigError(
            f"{what}: a SQLite URL has three slashes before the path of its file; write {FORMS}"
        )
    path, _, query = rest[2:].partition("?")
    try:
        return SqliteUrl(_path(unquote(path)), **_options(query))
    except ConfigError as error:
        raise ConfigError(f"{what}: {error}") from None


def from_here(url: Any) -> Any:
    """Return a file's URL by its whole path: the first call may come when the program is in another folder.

    All else stays as it is.

    Raises:
        ConfigError: it is none of the accepted forms.
    """
    return parse_sqlite(url).whole if isinstance(url, str) and is_sqlite(url) else url


def _path(text: str) -> str:
    path = text if _DRIVE.match(text) is None else text[1:]
    # Behind the third slash: /file.db is relative, //file.db is not.
    name = path.removeprefix("/")
    if name.endswith(("/", "\\")):
        raise ConfigError(f"the URL names a folder: write the name of a file behind it; {FORMS}")
    if not name or name.startswith((":memory:", "file:")):
        raise ConfigError(
            f"the URL names no file: a broker in memory would be seen by this process alone; write {FORMS}"
        )
    return str(Path(os.path.abspath(os.path.expanduser(name))))  # noqa: PTH100, PTH111  # links stay as they are


def _options(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in _KNOWN:
            raise unknown(name, _KNOWN, may_be_password=False)
        if text.lower() not in _SYNCHRONOUS:
            raise ConfigError(f"the URL's option {name} needs {' or '.join(_SYNCHRONOUS)}")
        found[name] = text.upper()
    return found
