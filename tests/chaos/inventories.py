"""What a broker holds, seen past nbtasks: by a plain client of each kind of server."""

from __future__ import annotations

import abc
from typing import Any

import psycopg
import redis
from psycopg import sql

#: What asking one raises that cannot answer at the moment.
UNANSWERED = (redis.RedisError, psycopg.Error, OSError)


class Inventory(abc.ABC):
    """What a broker holds for one namespace."""

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

        What has happened is not counted: it is kept on purpose, in a stream that is bounded.
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

        What has happened is kept on purpose, in a stream that is bounded.
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
        events = self.client.memory_usage(f"{self.root}ev", samples=0) or 0
        return int(info["used_memory"]) - buffers - events

    def close(self) -> None:
        """Close the connection."""
        self.client.close()


class PostgresInventory(Inventory):
    """What a PostgreSQL holds for one namespace; the role of the URL owns the tables."""

    def __init__(self, url: str, namespace: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        (self._ns,) = self._row("SELECT ns FROM nbtasks.namespaces WHERE name = %s", namespace)

    def _row(self, query: str, *values: Any) -> Any:
        return self._connection.execute(query, values).fetchone()

    def _count(self, table: str, condition: str = "true") -> int:
        return int(
            self._row(f"SELECT count(*) FROM nbtasks.{table} WHERE ns = %s AND {condition}", self._ns)[0]
        )

    def entries(self) -> int:
        """Return the number of entries in all queues, taken or not."""
        return self._count("entries", "due IS NULL")

    def pending(self) -> int:
        """Return the number of entries that some worker holds."""
        return self._count("entries", "holder IS NOT NULL")

    def delayed(self) -> int:
        """Return the number of calls that wait for their time."""
        return self._count("entries", "due IS NOT NULL")

    def cuts(self) -> int:
        """Return 0: what is left of an entry is an entry of its own."""
        return 0

    def consumers(self) -> set[str]:
        """Return the workers that hold something."""
        rows = self._connection.execute(
            "SELECT DISTINCT holder FROM nbtasks.entries WHERE ns = %s AND holder IS NOT NULL", [self._ns]
        )
        return {holder.rpartition("/")[0] for (holder,) in rows}

    def leases(self) -> set[str]:
        """Return the workers that have a lease."""
        rows = self._connection.execute(
            "SELECT worker FROM nbtasks.workers WHERE ns = %s AND lease IS NOT NULL AND NOT buried",
            [self._ns],
        )
        return {worker for (worker,) in rows}

    def blocked_readers(self) -> int:
        """Return how many connections wait for an entry."""
        return int(
            self._row(
                "SELECT count(DISTINCT s.channel) FROM nbtasks.sleepers s JOIN nbtasks.queues q "
                "ON q.ns = s.ns AND q.address = s.place WHERE s.ns = %s",
                self._ns,
            )[0]
        )

    def memory(self) -> int:
        """Return the bytes that the rows take: what is gone from a table leaves room in it for others."""
        tables = self._connection.execute(
            "SELECT table_name FROM information_schema.columns WHERE table_schema = 'nbtasks' AND column_name = 'ns' "
            "AND table_name NOT IN ('happened', 'happened_before')"
        )
        total = 0
        for (table,) in tables.fetchall():
            size = sql.SQL("SELECT coalesce(sum(pg_column_size(t.*)), 0) FROM nbtasks.{} t WHERE ns = %s")
            found = self._connection.execute(size.format(sql.Identifier(table)), [self._ns]).fetchone()
            total += int(found[0]) if found else 0
        return total

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
