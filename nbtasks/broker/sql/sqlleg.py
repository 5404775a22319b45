"""SQLite, and MariaDB or MySQL: queue and store in one, each verb one function and one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nbtasks.broker.mysqlurl import is_mysql, parse_mysql
from nbtasks.broker.sqliteurl import parse_sqlite
from nbtasks.core.errors import ConfigError

from .sqlline import SqlLine

if TYPE_CHECKING:
    from nbtasks.broker.verbs.leg import BrokerPlace

    from .sqldialect import Dialect


class SqlLeg:
    """The leg for one database and one namespace."""

    #: What is refused where it is asked for.
    lacks: Mapping[str, str] = {}

    def __init__(self, place: BrokerPlace) -> None:
        self._dialect = _dialect_for(place)
        self._namespace = place.namespace

    def line(self) -> SqlLine:
        """Return a new connection; it is made when it is used."""
        return SqlLine(self._dialect, self._namespace)


def _dialect_for(place: BrokerPlace) -> Dialect:
    """Return that of the kind of database that a URL names.

    Raises:
        ConfigError: what it stands on is not installed.
    """
    if not is_mysql(place.url):
        try:
            from .sqlitedialect import SqliteDialect
        except ImportError as error:
            raise ConfigError(
                f"a broker at {place.address} needs SQLite, which this Python was built without ({error}): take "
                "another Python, or name another broker"
            ) from None
        return SqliteDialect(parse_sqlite(place.url))
    try:
        from .mysqldialect import MysqlDialect
    except ImportError as error:
        raise ConfigError(
            f"a broker at {place.address} needs PyMySQL ({error}): pip install 'nbtasks[mysql]'"
        ) from None
    return MysqlDialect(parse_mysql(place.url))
