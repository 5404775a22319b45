"""What PostgreSQL's errors mean here."""

from __future__ import annotations

import re

import psycopg
from psycopg import Error

from nbtasks.broker.unreachable import plain
from nbtasks.core.errors import BackPressure, BrokerUnavailable, ConfigError, NbtasksError, OperationalError

DOCS = "docs/postgresql.md"
#: Codes of errors after which the same verb, said again, does it: two transactions stood in each other's way.
AGAIN = frozenset({"40001", "40P01"})
#: The server says that it cannot write for the moment: another one, or the same one later, can.
_PASSING = frozenset({"25006", "57014", "55P03", "57P01", "57P02", "57P03", "57P05", "58000", "58030"})
_NOT_ALLOWED = "42501"
_ROOM = frozenset({"53100", "53200", "53400", "54000"})
_NOT_THERE = frozenset({"3F000", "42P01", "42883", "42704"})
#: How a login is refused, as servers say it in English; others are told in their own words.
_REFUSED = re.compile(
    r"password authentication failed|no password supplied|no pg_hba\.conf entry|authentication failed|"
    r'role ".*" does not exist|database ".*" does not exist|permission denied for database|'
    r"is not permitted to log in|SCRAM|certificate authentication failed",
)
_STARTING = re.compile(r"the database system is (starting up|not yet accepting connections|in recovery mode)")
_FULL = re.compile(r"too many (clients|connections)|remaining connection slots")


def is_lost(error: BaseException) -> bool:
    """Whether the connection is of no use any more, or is to a server that is no use any more."""
    return (
        not isinstance(error, Error)
        or not error.sqlstate
        or error.sqlstate in _PASSING
        # Whoever connects sees to what is there, and asks for its namespace's number anew.
        or error.sqlstate in _NOT_THERE
        or error.sqlstate == _NOT_ALLOWED
        or error.sqlstate[:2] == "08"
    )


def translated_pg(error: Error, label: str) -> NbtasksError:
    """Return what an error that a verb has ended with means."""
    code, text = error.sqlstate or "", _text(error)
    if code == _NOT_ALLOWED:
        return ConfigError(
            f"the broker at {label} does not allow what nbtasks needs: {text}; {DOCS} says what a role must be given"
        )
    if code in _ROOM:
        return BackPressure(
            f"the broker at {label} has no room ({text}); calls that it has go on: make room on its disk, or fetch and "
            "forget() old results, then submit again"
        )
    if code in _PASSING:
        return BrokerUnavailable(f"the broker at {label} does not take writes at the moment: {text}")
    if code in _NOT_THERE:
        return BrokerUnavailable(
            f"the broker at {label} has lost tables of nbtasks ({text}); when all of the schema is gone, it is made "
            "anew by the next connection whose role may. Where only a part is, restore it, or drop the rest"
        )
    return OperationalError(f"the broker at {label} refused a command: {text}")


def login_problem(error: BaseException, label: str) -> ConfigError | None:
    """Return the error of a login that was refused; None where it was not that."""
    if not isinstance(error, psycopg.OperationalError) or not _REFUSED.search(str(error)):
        return None
    return ConfigError(
        f"the broker at {label} refuses the login: {_text(error)}; check user, password and database of the URL "
        "(App(broker=...), NBTASKS_BROKER, connection file), and its pg_hba.conf"
    )


def silent(error: TimeoutError, label: str) -> BrokerUnavailable:
    """Return what is said where a connection is there, and a verb had no answer in time."""
    return BrokerUnavailable(
        f"the broker at {label} does not answer ({plain(error)}): it has too much to do, or somebody holds a lock on "
        "nbtasks's tables (LOCK TABLE, VACUUM FULL; pg_stat_activity shows who), or the network is silent; "
        "`nbtasks doctor` says more"
    )


def takes_no_writes(label: str) -> str:
    """Return what is said of a standby."""
    return (
        f"the broker at {label} is a standby that takes no writes: name the primary, or all servers with "
        "target_session_attrs=read-write"
    )


def is_starting(error: BaseException) -> bool:
    """Whether the server is up, and not ready yet."""
    return bool(_STARTING.search(str(error)))


def is_crowded(error: BaseException) -> bool:
    """Whether the server has as many connections as it may."""
    return bool(_FULL.search(str(error)))


def _text(error: BaseException) -> str:
    """Return the server's own words: the first line of them, without where they come from."""
    primary = error.diag.message_primary if isinstance(error, Error) else None
    return plain(primary or str(error).strip().split("\n")[-1])
