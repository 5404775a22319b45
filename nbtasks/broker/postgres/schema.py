"""The tables and verbs in the server: made and upgraded by whoever comes first and may, one at a time."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import psycopg
from psycopg import sql

from nbtasks.broker.unreachable import plain
from nbtasks.core.errors import BrokerUnsuitable, ConfigError
from nbtasks.core.lanenames import LANES

from .pgconnection import PgConnection
from .pgerrors import takes_no_writes

#: The oldest server whose answers are known.
OLDEST_VERSION = 130000
#: Seconds that it may take to make all of it, or to wait for somebody who does.
_MAKING_S = 60.0
#: Names the lock under which the schema is changed, together with a hash of its name.
_LOCK = 1851946098
#: The number of the schema from which on an older nbtasks can still use it: a migration that takes something away from
#: those raises it to its own number.
_USABLE_SINCE = 2

_META = """
CREATE TABLE IF NOT EXISTS meta (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  version integer NOT NULL,
  usable_since integer NOT NULL,
  verbs text NOT NULL
)
"""

#: Verbs are made anew, all of them: PostgreSQL replaces none whose arguments or answer have changed.
_DROP = """
DO $$ DECLARE _one text; BEGIN
  FOR _one IN SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = current_schema()::regnamespace LOOP
    EXECUTE 'DROP FUNCTION ' || _one || ' CASCADE';
  END LOOP;
  FOR _one IN SELECT t.oid::regtype::text FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid AND c.relkind = 'c'
    WHERE t.typnamespace = current_schema()::regnamespace LOOP
    EXECUTE 'DROP TYPE ' || _one;
  END LOOP;
END $$;
"""

#: Whether a schema is ours, by the columns of its ``meta``, and one name of what is in it. No row where it is empty.
_IN_IT = """
SELECT 4 = (
    SELECT count(*) FROM pg_attribute
    WHERE attrelid = to_regclass({name} || '.meta') AND attname IN ('only_row', 'version', 'usable_since', 'verbs')
  ), found.name
FROM (
  SELECT relname AS name FROM pg_class WHERE relnamespace = to_regnamespace({name})
  UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = to_regnamespace({name})
  UNION ALL SELECT typname FROM pg_type WHERE typnamespace = to_regnamespace({name})
) AS found
ORDER BY found.name LIMIT 1
"""


@cache
def migrations() -> list[str]:
    """Return what leads from each version of the schema to the next one, from none on."""
    here = Path(__file__).parent / "migrations"
    return [path.read_text() for path in sorted(here.glob("*.sql"))]


@cache
def verbs() -> tuple[str, str]:
    """Return what makes all functions, those first that others share, and its hash."""
    here = Path(__file__).parent / "verbs"
    paths = [*sorted((here / "shared").glob("*.sql")), *sorted(here.glob("*.sql"))]
    text = "\n".join(path.read_text() for path in paths).replace("{lanes}", LANES)
    return text, hashlib.sha256(text.encode()).hexdigest()[:16]


class Schema:
    """The schema of one server, by its name.

    Args:
        label: the server, for messages.
    """

    def __init__(self, name: str, label: str) -> None:
        self._name = name
        self._label = label

    def see_to(self, connection: PgConnection) -> None:
        """See that the schema is there, and is one that this nbtasks knows.

        Raises:
            BrokerUnsuitable: server or schema are of a version that cannot be used.
            ConfigError: the schema has to be made or upgraded, and this role may not.
        """
        if connection.info.server_version < OLDEST_VERSION:
            raise BrokerUnsuitable(
                f"the broker at {self._label} is PostgreSQL {connection.info.server_version // 10000}; "
                f"nbtasks needs {OLDEST_VERSION // 10000} or later"
            )
        connection.limit_s = _MAKING_S
        if self._is_current(connection):
            return
        try:
            with connection.transaction():
                self._upgrade(connection)
        except psycopg.errors.InsufficientPrivilege as error:
            raise ConfigError(
                f"the schema {self._name!r} of the broker at {self._label} is not there or too old, and this role may "
                f"not change that ({plain(error.diag.message_primary)}): connect once as a role that may, such as the "
                "database's owner, or see docs/postgresql.md for what to grant"
            ) from None
        except psycopg.errors.ReadOnlySqlTransaction:
            raise BrokerUnsuitable(takes_no_writes(self._label)) from None
        except (
            psycopg.errors.SyntaxErrorOrAccessRuleViolation,
            psycopg.errors.ObjectNotInPrerequisiteState,
        ) as error:
            raise ConfigError(
                f"the schema {self._name!r} of the broker at {self._label} is not as nbtasks has left it "
                f"({plain(error.diag.message_primary)}): restore it, or drop it with all calls and results in it "
                f"(DROP SCHEMA {self._name} CASCADE), and it is made anew"
            ) from None

    def _is_current(self, connection: PgConnection) -> bool:
        """Whether nothing is to be done.

        Raises:
            BrokerUnsuitable: it is newer than this nbtasks knows.
        """
        there = connection.execute(
            "SELECT to_regclass(%s)", (f"{self._name}.meta",), prepare=False
        ).fetchone()
        if there is None or there[0] is None:
            return False
        kept_there = sql.SQL("SELECT version, usable_since, verbs FROM {}.meta")
        try:
            found = connection.execute(
                kept_there.format(sql.Identifier(self._name)), prepare=False
            ).fetchone()
        except psycopg.errors.UndefinedColumn:
            self._refuse_another_ones(connection)
            raise
        if found is None:
            return False
        version, usable_since, kept = found
        if usable_since > len(migrations()):
            raise BrokerUnsuitable(
                f"the schema {self._name!r} of the broker at {self._label} is of a newer nbtasks (version {version}, "
                f"this one knows {len(migrations())}): update nbtasks here, or name another one in the URL: schema=..."
            )
        return bool(version > len(migrations()) or (version == len(migrations()) and kept == verbs()[1]))

    def _upgrade(self, connection: PgConnection) -> None:
        """Make what is missing. In one transaction: it is all there, or nothing."""
        own_lock = int.from_bytes(hashlib.sha256(self._name.encode()).digest()[:4], "big", signed=True)
        _run(connection, f"SELECT pg_advisory_xact_lock({_LOCK}, {own_lock})")
        # Somebody else may have done it while the lock was waited for.
        if self._is_current(connection):
            return
        # Not unless it must: IF NOT EXISTS asks for the right to make one also where there is one.
        there = connection.execute("SELECT to_regnamespace(%s)", (self._name,), prepare=False).fetchone()
        if there is None or there[0] is None:
            _run(connection, f"CREATE SCHEMA {self._name}")
        else:
            self._refuse_another_ones(connection)
        # The verbs keep this path: whoever calls them cannot put a table or an operator of its own before ours.
        _run(connection, f"SET LOCAL search_path = {self._name}, pg_temp")
        # And this: a verb is short, and to plan its statements takes longer than to run them.
        _run(connection, "SET LOCAL plan_cache_mode = force_generic_plan")
        _run(connection, _META)
        found = connection.execute("SELECT version FROM meta", prepare=False).fetchone()
        for script in migrations()[found[0] if found else 0 :]:
            _run(connection, script)
        text, digest = verbs()
        _run(connection, _DROP + text)
        connection.execute(
            "INSERT INTO meta (version, usable_since, verbs) VALUES (%s, %s, %s) ON CONFLICT (only_row) DO UPDATE "
            "SET version = excluded.version, usable_since = excluded.usable_since, verbs = excluded.verbs",
            (len(migrations()), _USABLE_SINCE, digest),
            prepare=False,
        )

    def _refuse_another_ones(self, connection: PgConnection) -> None:
        """Leave a schema alone that is not ours: in our own, all functions are dropped and made anew.

        Raises:
            ConfigError: something is in it, and our ``meta`` is not.
        """
        name = sql.Literal(self._name)
        found = connection.execute(sql.SQL(_IN_IT).format(name=name), prepare=False).fetchone()
        if found is not None and not found[0]:
            raise ConfigError(
                f"the schema {self._name!r} of the broker at {self._label} holds what is not of nbtasks "
                f"({plain(found[1])}), or the table meta of nbtasks is gone: name a schema in the URL that nbtasks has "
                "for itself, schema=..."
            )


def _run(connection: PgConnection, script: str) -> None:
    """Run statements that have no arguments."""
    connection.execute(script, prepare=False)
