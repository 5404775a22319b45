"""What a broker holds, seen past nbtasks: by a plain client of each kind of server."""

from __future__ import annotations

import abc
import sqlite3
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pymysql
import redis

#: What asking one raises that cannot answer at the moment.
UNANSWERED = (redis.RedisError, psycopg.Error, pymysql.MySQLError, sqlite3.Error, OSError)

#: The group of those who tell a carrier what is queued: they hold nothing, and share one name.
TELLERS = b"c"


class Inventory(abc.ABC):
    """What a broker holds for one namespace.

    Attributes:
        stale_s: for so long a connection that was killed may still be counted as one that waits.
    """

    stale_s = 0.0

    @abc.abstractmethod
    def entries(self) -> int:
        """Return the number of entries in all queues, taken or not."""

    @abc.abstractmethod
    def pending(self) -> int:
        """Return the number of entries that some worker holds."""

    @abc.abstractmethod
    def delayed(self) -> int:
        """Return the number of calls that wait for their time."""

    @abc.abstractmethod
    def cuts(self) -> int:
        """Return the number of entries of which only a part is left."""

    @abc.abstractmethod
    def consumers(self) -> set[str]:
        """Return the workers that hold something, or are known at some queue."""

    @abc.abstractmethod
    def leases(self) -> set[str]:
        """Return the workers that have a lease."""

    @abc.abstractmethod
    def blocked_readers(self) -> int:
        """Return how many connections wait for an entry."""

    @abc.abstractmethod
    def memory(self) -> int:
        """Return the bytes that the data take.

        What has happened is not counted, nor are orders to workers, of which ten thousand take megabytes: both are kept
        on purpose, in streams that are bounded.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Close the connection."""

    def leftovers(self) -> dict[str, Any]:
        """Return what should not be there when everything has ended; empty if all is well."""
        found = {
            "entries": self.entries(),
            "pending": self.pending(),
            "delayed": self.delayed(),
            "cuts": self.cuts(),
            "consumers of dead workers": sorted(self.consumers() - self.leases()),
        }
        return {what: held for what, held in found.items() if held}


class RedisInventory(Inventory):
    """What a Redis or a Valkey holds for one namespace."""

    def __init__(self, url: str, namespace: str) -> None:
        self.client = redis.Redis.from_url(url, single_connection_client=True)
        self.root = f"nb:{{{namespace}:0}}:"

    def names(self, kind: str) -> list[str]:
        """Return the keys of a kind (``q:`` lanes, ``z:`` delayed, ``b:`` batches...), without the root."""
        start = len(self.root)
        return sorted(
            key.decode()[start:] for key in self.client.scan_iter(f"{self.root}{kind}*", count=1000)
        )

    def lanes(self) -> list[str]:
        """Return the full names of all lanes."""
        return [self.root + name for name in self.names("q:")]

    def entries(self) -> int:
        """Return the number of entries in all lanes, taken or not."""
        return sum(self.client.xlen(lane) for lane in self.lanes())

    def pending(self) -> int:
        """Return the number of entries that some worker holds."""
        return sum(
            group["pending"] for lane in self.lanes() for group in self.client.xinfo_groups(lane) or ()
        )

    def delayed(self) -> int:
        """Return the number of calls that wait for their time."""
        return sum(self.client.zcard(self.root + name) for name in self.names("z:"))

    def cuts(self) -> int:
        """Return the number of entries of which only a part is left."""
        return sum(self.client.hlen(self.root + name) for name in self.names("c:"))

    def consumers(self) -> set[str]:
        """Return the workers that are consumers of some lane."""
        found = set()
        for lane in self.lanes():
            for group in self.client.xinfo_groups(lane):
                if group["name"] == TELLERS:
                    continue
                for consumer in self.client.xinfo_consumers(lane, group["name"]):
                    found.add(consumer["name"].decode().rpartition("/")[0])
        return found

    def leases(self) -> set[str]:
        """Return the workers that have a lease."""
        return {name[2:] for name in self.names("w:")}

    def blocked_readers(self) -> int:
        """Return how many connections wait for an entry of a lane."""
        return sum(
            1 for one in self.client.client_list() if one["cmd"] == "xreadgroup" and "b" in one["flags"]
        )

    def memory(self) -> int:
        """Return the bytes that the data take, without buffers of connections and of the file.

        What has happened, and orders, are kept on purpose, in streams that are bounded.
        """
        info = self.client.info("memory")
        buffers = sum(
            int(info.get(name, 0))
            for name in (
                "mem_clients_normal",
                "mem_aof_buffer",
                "mem_replication_backlog",
                "mem_cluster_links",
            )
        )
        kept = (self.client.memory_usage(self.root + name, samples=0) or 0 for name in ("ev", "ctl"))
        return int(info["used_memory"]) - buffers - sum(kept)

    def close(self) -> None:
        """Close the connection."""
        self.client.close()


class SqlInventory(Inventory):
    """What an SQL database holds for one namespace; a subclass says how it is asked."""

    #: What an entry is that waits for its time; and that is in somebody's hands.
    is_delayed, is_held = "due IS NOT NULL", "holder IS NOT NULL"
    #: Before the names of tables.
    prefix = "nbtasks."

    @abc.abstractmethod
    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows that a query finds, with ``?`` for values."""

    @abc.abstractmethod
    def sizes(self) -> list[int]:
        """Return the bytes of each table, without what has happened."""

    def __init__(self, namespace: str) -> None:
        ((self.ns,),) = self.ask(f"SELECT ns FROM {self.prefix}namespaces WHERE name = ?", namespace)

    def _count(self, condition: str) -> int:
        ((found,),) = self.ask(
            f"SELECT count(*) FROM {self.prefix}entries WHERE ns = ? AND ({condition})", self.ns
        )
        return int(found)

    def entries(self) -> int:
        """Return the number of entries in all queues, taken or not."""
        return self._count(f"NOT ({self.is_delayed})")

    def pending(self) -> int:
        """Return the number of entries that some worker holds."""
        return self._count(self.is_held)

    def delayed(self) -> int:
        """Return the number of calls that wait for their time."""
        return self._count(self.is_delayed)

    def cuts(self) -> int:
        """Return 0: what is left of an entry is an entry of its own."""
        return 0

    def consumers(self) -> set[str]:
        """Return the workers that hold something."""
        query = f"SELECT DISTINCT holder FROM {self.prefix}entries WHERE ns = ? AND {self.is_held}"
        return {holder.rpartition("/")[0] for (holder,) in self.ask(query, self.ns)}

    def leases(self) -> set[str]:
        """Return the workers that have a lease."""
        query = f"SELECT worker FROM {self.prefix}workers WHERE ns = ? AND lease IS NOT NULL"
        return {worker for (worker,) in self.ask(query, self.ns)}

    def blocked_readers(self) -> int:
        """Return 0, where nobody is waited for: all look again and again."""
        return 0

    def memory(self) -> int:
        """Return the bytes that the rows take: what is gone from a table leaves room in it for others."""
        return sum(self.sizes())


class PostgresInventory(SqlInventory):
    """What a PostgreSQL holds; the role of the URL owns the tables."""

    #: Whoever waits says so again that often; whoever dies says nothing.
    stale_s = 2.6

    def __init__(self, url: str, namespace: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        super().__init__(namespace)

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows that a query finds."""
        return self._connection.execute(query.replace("?", "%s").encode(), values).fetchall()

    def blocked_readers(self) -> int:
        """Return how many connections wait for an entry."""
        query = (
            "SELECT count(DISTINCT s.channel) FROM nbtasks.sleepers s JOIN nbtasks.queues q "
            "ON q.ns = s.ns AND q.address = s.place "
            "WHERE s.ns = ? AND s.since > (extract(epoch FROM clock_timestamp()) - ?) * 1000000"
        )
        ((found,),) = self.ask(query, self.ns, self.stale_s)
        return int(found)

    def sizes(self) -> list[int]:
        """Return the bytes of each table's rows."""
        tables = self.ask(
            "SELECT table_name FROM information_schema.columns WHERE table_schema = 'nbtasks' AND column_name = 'ns' "
            "AND table_name NOT IN ('happened', 'happened_before', 'control')"
        )
        size = "SELECT coalesce(sum(pg_column_size(t.*)), 0) FROM nbtasks.{} t WHERE ns = ?"
        return [int(self.ask(size.format(name), self.ns)[0][0]) for (name,) in tables]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class SqliteInventory(SqlInventory):
    """What a file of SQLite holds."""

    is_delayed, is_held = "standing = 2", "standing = 1"
    prefix = ""

    def __init__(self, url: str, namespace: str) -> None:
        self._file = sqlite3.connect(
            url.removeprefix("sqlite://"), isolation_level=None, check_same_thread=False
        )
        super().__init__(namespace)

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows that a query finds."""
        return self._file.execute(query, values).fetchall()

    def sizes(self) -> list[int]:
        """Return the bytes of each table's rows, about."""
        tables = self.ask("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        found = []
        for (table,) in tables:
            columns = [row[1] for row in self.ask(f"PRAGMA table_info({table})")]
            if "ns" in columns and table not in {"happened", "control"}:
                lengths = " + ".join(f"coalesce(length({column}), 0)" for column in columns)
                query = f"SELECT coalesce(sum({lengths}), 0) FROM {table} WHERE ns = ?"
                found.append(int(self.ask(query, self.ns)[0][0]))
        return found

    def close(self) -> None:
        """Close the connection."""
        self._file.close()


class MysqlInventory(SqlInventory):
    """What a MariaDB or a MySQL holds."""

    is_delayed, is_held = SqliteInventory.is_delayed, SqliteInventory.is_held
    prefix = "nbtasks_"

    def __init__(self, url: str, namespace: str) -> None:
        where = urlsplit(url)
        self._connection = pymysql.connect(
            host=where.hostname, port=where.port, user=where.username, password=where.password,
            database=where.path[1:], autocommit=True,
        )  # fmt: skip
        super().__init__(namespace)

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows that a query finds."""
        with self._connection.cursor() as cursor:
            cursor.execute(query.replace("%", "%%").replace("?", "%s"), values)
            return list(cursor.fetchall())

    def sizes(self) -> list[int]:
        """Return the bytes of each table's rows, about."""
        columns: dict[str, list[str]] = {}
        for table, column in self.ask(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = database() "
            "AND table_name LIKE 'nbtasks%' AND table_name NOT IN ('nbtasks_happened', 'nbtasks_control') AND ? = ?",
            *(1, 1),
        ):
            columns.setdefault(table, []).append(column)
        found = []
        for table, names in columns.items():
            if "ns" in names:
                lengths = " + ".join(f"coalesce(length({name}), 0)" for name in names)
                query = f"SELECT coalesce(sum({lengths}), 0) FROM {table} WHERE ns = ?"
                found.append(int(self.ask(query, self.ns)[0][0]))
        return found

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
