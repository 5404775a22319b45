"""PostgreSQL: queue and store in one, each verb one function and one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nbtasks.broker.lateimports import importing
from nbtasks.broker.pgurl import parse_pg
from nbtasks.core.errors import ConfigError

if TYPE_CHECKING:
    from nbtasks.broker.verbs.leg import BrokerPlace

    from .pgline import PgLine


class PostgresLeg:
    """The leg for one server and one namespace."""

    #: What is refused where it is asked for.
    lacks: Mapping[str, str] = {}

    def __init__(self, place: BrokerPlace) -> None:
        self._url = parse_pg(place.url)
        self._label = place.address
        self._namespace = place.namespace

    def line(self) -> PgLine:
        """Return a new connection; it is made when it is used.

        Raises:
            ConfigError: psycopg is not installed.
        """
        try:
            with importing:
                from .pgline import PgLine
        except ImportError as error:
            # Without libpq it says in several lines what it has tried.
            why = next(filter(None, map(str.strip, str(error).splitlines())), "it cannot be imported")
            raise ConfigError(
                f"a broker at {self._label} needs psycopg ({why}): pip install 'nbtasks[postgres]'"
            ) from None
        return PgLine(self._url, self._label, self._namespace)
