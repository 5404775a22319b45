"""The tables: made and upgraded by whoever comes first, one at a time."""

from __future__ import annotations

import contextlib
import re
import secrets
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbtasks.core.errors import BrokerUnsuitable, ConfigError

from .sqldialect import COLUMN

if TYPE_CHECKING:
    from .sqldialect import Dialect

#: The number of the schema from which on an older nbtasks can still use it: a migration that takes something away from
#: those raises it to its own number.
_USABLE_SINCE = 1
#: A column and the word that stands for its type; or such a word alone.
_WORD = re.compile(r"(?:(\w+) )?\{([a-z]+)\}")
#: What SQLite says of a table of that name which has other columns.
_FOREIGN = "no such column"
_META = (
    "CREATE TABLE IF NOT EXISTS @meta (version {number} NOT NULL, usable_since {number} NOT NULL, life {name}) "
    "{table}"
)


@cache
def migrations() -> list[str]:
    """Return what leads from each version of the schema to the next one, from none on."""
    here = Path(__file__).parent / "migrations"
    return [path.read_text(encoding="utf-8") for path in sorted(here.glob("*.sql"))]


def see_to_schema(dialect: Dialect, connection: Any) -> None:
    """See that the tables are there, and are such as this nbtasks knows.

    Raises:
        BrokerUnsuitable: they are newer than that.
    """
    if _version(dialect, connection) >= len(migrations()):
        return
    with dialect.locked_schema(connection):
        # Somebody else may have done it while the lock was waited for.
        version = _version(dialect, connection)
        if version >= len(migrations()):
            return
        cursor = connection.cursor()
        cursor.execute(_made(dialect, _META))
        for script in migrations()[version:]:
            for statement in _statements(script):
                try:
                    cursor.execute(_made(dialect, statement))
                except Exception as error:
                    if not dialect.is_made(error):
                        raise
        life = secrets.token_hex(8)
        if version:
            cursor.execute(
                dialect.text("UPDATE @meta SET version = ?, usable_since = ?"),
                (len(migrations()), _USABLE_SINCE),
            )
        else:
            cursor.execute(
                dialect.text("INSERT INTO @meta (version, usable_since, life) VALUES (?, ?, ?)"),
                (len(migrations()), _USABLE_SINCE, life),
            )
        cursor.close()


def _version(dialect: Dialect, connection: Any) -> int:
    """Return the version of the tables that there are; 0 where there are none.

    Raises:
        BrokerUnsuitable: it is newer than this nbtasks knows.
        ConfigError: the tables are somebody else's.
    """
    cursor = connection.cursor()
    try:
        with contextlib.closing(cursor):
            cursor.execute(dialect.text("SELECT version, usable_since FROM @meta"))
            found = cursor.fetchone()
    except Exception as error:
        if _FOREIGN in str(error):
            raise ConfigError(
                f"{dialect.label} is no file of nbtasks', but of something else, which has a table 'meta': "
                "name another one"
            ) from None
        if not dialect.is_missing(error):
            raise
        return 0
    if found is None:
        return 0
    version, usable_since = found
    if usable_since > len(migrations()):
        raise BrokerUnsuitable(
            f"the tables of the broker at {dialect.label} are of a newer nbtasks (version {version}, this one knows "
            f"{len(migrations())}): update nbtasks here, or name another place"
        )
    return int(version)


def _statements(script: str) -> list[str]:
    """Return the statements of a script, without what is said beside them."""
    lines = [line for line in script.splitlines() if not line.lstrip().startswith("--")]
    return [one.strip() for one in "\n".join(lines).split(";") if one.strip()]


def _made(dialect: Dialect, statement: str) -> str:
    """Return a statement with the words that stand for types as they are here."""
    return dialect.text(_WORD.sub(lambda found: _typed(dialect, found[1], found[2]), statement))


def _typed(dialect: Dialect, column: str | None, word: str) -> str:
    """Return a column and its type; the type alone where no column stands before it."""
    found = dialect.types[word].replace(COLUMN, column or "")
    return found if column is None else f"{column} {found}"
