"""SQLite, and MariaDB or MySQL: queue and store in one, each verb one function and one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nbtasks.broker.sqliteurl import parse_sqlite

from .sqlitedialect import SqliteDialect
from .sqlline import SqlLine

if TYPE_CHECKING:
    from nbtasks.broker.verbs.leg import BrokerPlace


class SqlLeg:
    """The leg for one database and one namespace."""

    #: What is refused where it is asked for.
    lacks: Mapping[str, str] = {}

    def __init__(self, place: BrokerPlace) -> None:
        self._dialect = SqliteDialect(parse_sqlite(place.url))
        self._namespace = place.namespace

    def line(self) -> SqlLine:
        """Return a new connection; it is made when it is used."""
        return SqlLine(self._dialect, self._namespace)
