"""A broker is emptied, put back to an older state, or another one has its place: who reads on hears what comes."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator

import pymysql
import pytest

from nbtasks import App
from nbtasks.broker.brokererrors import PlaceLost
from nbtasks.broker.legs import open_leg
from nbtasks.broker.verbs.finish import Finish
from nbtasks.core.errors import BrokerUnavailable
from tests.broker.contract.servers import Place
from tests.chaos.servers import find
from tests.conftest import wait_until
from tests.servers.postgresql import SUPERUSER, PostgreSQL
from tests.servers.sentinels import KeyServer

NS = "tests"


class KeptRedis:
    """Its keys are saved one by one."""

    def __init__(self, server: KeyServer) -> None:
        self._server = server
        self.url = f"redis://127.0.0.1:{server.port}"
        self._saved: dict[bytes, bytes] = {}

    def save(self) -> None:
        with self._server.client() as client:
            self._saved = {name: client.dump(name) for name in client.scan_iter("*")}

    def put_back(self) -> None:
        with self._server.client() as client, client.pipeline() as together:
            together.flushall()
            for name, value in self._saved.items():
                together.restore(name, 0, value)
            together.execute()


class EmptiedRedis(KeptRedis):
    """Nothing of it is saved; and its clock was ahead by an hour before."""

    def save(self) -> None:
        with self._server.client() as client:
            for name in client.scan_iter("*"):
                if client.type(name) == b"stream":
                    # The next entries come behind this one.
                    last = f"{int(time.time() * 1000) + 3_600_000}-0"
                    client.execute_command("XSETID", name, last)


class KeptFile:
    """A file, put back in its place, with all who have it open."""

    def __init__(self, folder) -> None:
        self._path, self._copy = folder / "tasks.db", folder / "copy.db"
        self.url = f"sqlite:///{self._path}"

    def save(self) -> None:
        self._copied(self._path, self._copy)

    def put_back(self) -> None:
        self._copied(self._copy, self._path)

    @staticmethod
    def _copied(source, target) -> None:
        with (
            contextlib.closing(sqlite3.connect(source, timeout=30)) as one,
            contextlib.closing(sqlite3.connect(target, timeout=30)) as other,
        ):
            one.backup(other)


class ReplacedFile(KeptFile):
    """Another file takes its name."""

    def put_back(self) -> None:
        for beside in ("-wal", "-shm"):
            self._path.with_name(self._path.name + beside).unlink(missing_ok=True)
        self._copy.replace(self._path)


class KeptMariaDB:
    """Each of its tables is made anew, as a dump does it."""

    def __init__(self, server, name: str) -> None:
        self._server, self._name = server, name
        self.url = server.url(name)

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[pymysql.cursors.Cursor]:
        with (
            contextlib.closing(self._server.connect(self._name)) as connection,
            connection.cursor() as cursor,
        ):
            yield cursor
            connection.commit()

    def save(self) -> None:
        with self._cursor() as cursor:
            cursor.execute("SHOW TABLES LIKE 'nbtasks%'")
            for (name,) in cursor.fetchall():
                cursor.execute(f"CREATE TABLE saved_{name} LIKE {name}")
                cursor.execute(f"INSERT INTO saved_{name} SELECT * FROM {name}")

    def put_back(self) -> None:
        with self._cursor() as cursor:
            cursor.execute("SHOW TABLES LIKE 'saved%'")
            for (saved,) in cursor.fetchall():
                name = saved.removeprefix("saved_")
                cursor.execute(f"CREATE TABLE new_{name} LIKE {saved}")
                cursor.execute(f"INSERT INTO new_{name} SELECT * FROM {saved}")
                cursor.execute(f"RENAME TABLE {name} TO old_{name}, new_{name} TO {name}")


class DumpedPostgreSQL:
    """A dump of it is put into a new cluster, which has had fewer transactions, at the same address."""

    def __init__(self, start_server, stack) -> None:
        self._stack = stack
        self._server = start_server(PostgreSQL, durable=False)
        self.url = self._server.url(user=SUPERUSER)
        self._dump = self._server.folder / "dump"

    def save(self) -> None:
        with self._server.admin() as admin:
            admin.execute("CREATE PROCEDURE busy() LANGUAGE plpgsql AS $$ BEGIN FOR k IN 1..3000 LOOP "
                          "PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$")  # fmt: skip
            admin.execute("CALL busy()")
        self._run("pg_dump", "-n", "nbtasks", "-f", str(self._dump))

    def put_back(self) -> None:
        text, port = self._dump.read_text(), self._server.port
        self._server.kill()
        self._server = PostgreSQL(durable=False)
        self._stack.callback(self._server.close)
        self._server.start()
        dump = self._server.folder / "dump"
        dump.write_text(text)
        dump.chmod(0o644)
        self._run("psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(dump))
        # Not before: whoever connects makes what is not there yet.
        self._server.stop()
        self._server.port = self._server.settings["port"] = port
        self._server.start()

    def _run(self, program: str, *arguments: str) -> None:
        path = self._server.root / "usr/lib/postgresql/15/bin" / program
        self._server.run(str(path), "-d", self._server.socket_url(user=SUPERUSER), *arguments)


@pytest.fixture(
    params=[
        "redis",
        "redis-emptied",
        "sqlite",
        "sqlite-replaced",
        "postgresql",
        pytest.param("mariadb", marks=pytest.mark.long),
    ]
)
def kept(request, home, start_server, run_folder, tmp_path):
    """A broker that can be put back to how it was."""
    kind = request.param
    with contextlib.ExitStack() as stack:
        if kind.startswith("redis"):
            server = stack.enter_context(KeyServer(find("bundled"))).start()
            yield (EmptiedRedis if kind == "redis-emptied" else KeptRedis)(server)
        elif kind.startswith("sqlite"):
            yield (ReplacedFile if kind == "sqlite-replaced" else KeptFile)(tmp_path)
        elif kind == "mariadb":
            server = request.getfixturevalue("mariadb_server")
            yield KeptMariaDB(server, stack.enter_context(server.database()))
        else:
            yield DumpedPostgreSQL(start_server, stack)


@pytest.fixture
def new_line(kept):
    """``new_line()`` returns a line that ends with the test."""
    lines = []

    def make():
        lines.append(open_leg(Place(kept.url, NS)).line())
        return lines[-1]

    yield make
    for line in lines:
        line.close()


class Reader:
    """Reads on, over all that may happen meanwhile; knows what it has read, in its order."""

    def __init__(self, line) -> None:
        self.line, self.read = line, []

    def look(self) -> list[bytes]:
        """Read what there is, and return all so far."""
        with contextlib.suppress(BrokerUnavailable):
            self._look()
        return self.read


class EventReader(Reader):
    def __init__(self, line) -> None:
        super().__init__(line)
        self.log = line.event_log()
        self.log.begin_now()

    def _look(self) -> None:
        self.read += [entry.parts[0][1] for entry in self.log.read(0.1)]


class OrderReader(Reader):
    def __init__(self, line) -> None:
        super().__init__(line)
        self.ordering, self.after = line.ordering(), None
        self._begin()

    def _begin(self) -> None:
        self.after = self.ordering.position_at(time.time() - 60)

    def _look(self) -> None:
        try:
            self.ordering.ask(self.after, 100)
            for entry in self.ordering.asked(60):
                self.after = entry.id
                self.read.append(entry.data)
        except PlaceLost:
            self._begin()


def told(line, *texts):
    """Note these, and tell supervisors of them."""
    report = Finish()
    for text in texts:
        report.happened(text)

    def tell() -> bool:
        with contextlib.suppress(BrokerUnavailable):
            line.store().finish(report)
            line.ordering().give(texts)
            return True
        return False

    wait_until(tell, "the broker takes it")


def test_who_reads_on_hears_what_comes_after_a_broker_was_put_back(kept, new_line):
    line = new_line()
    line.check()
    told(line, b"early")
    readers = [EventReader(new_line()), OrderReader(new_line())]
    told(line, *(b"%d" % number for number in range(20)))
    kept.save()
    told(line, *(b"%d" % number for number in range(20, 40)))
    for reader in readers:
        wait_until(lambda: b"39" in reader.look(), "all is read")  # noqa: B023
        assert reader.read.count(b"39") == 1
    kept.put_back()
    told(line, b"after")
    for reader in readers:
        wait_until(lambda: b"after" in reader.look(), f"it is read by {type(reader).__name__}")  # noqa: B023
    told(line, b"last")
    for reader in readers:
        wait_until(lambda: b"last" in reader.look(), "it goes on")  # noqa: B023
        assert reader.read[-1:] == [b"last"]
        # What was told at the moment itself may have been told twice.
        assert reader.read.count(b"last") == 1
    # Who begins now is told nothing of what was put back, as if it were new.
    late = EventReader(new_line())
    told(line, b"new")
    wait_until(lambda: b"new" in late.look(), "it is read")
    assert late.read == [b"new"]


def test_calls_and_orders_go_on_over_a_broker_that_was_put_back(kept, eventually):
    with App(broker=kept.url) as app:
        double = app.task(abs)
        app.start_workers(1)
        events = app.events("task-succeeded")
        assert double.map([-1, -2]).get(timeout=90) == [1, 2]
        kept.save()
        assert double.map([-3, -4]).get(timeout=90) == [3, 4]
        kept.put_back()
        waiting = eventually(lambda: submitted(double), "a submit is taken")
        assert waiting.get(timeout=90) == 5
        # An order is heard by workers that have heard others before.
        eventually(lambda: answered(app), "the worker answers")
        seen = set()
        eventually(
            lambda: seen.update(one["uuid"] for one in events.next_batch(0.2)) or waiting.id in seen,
            "it is told",
        )


def submitted(task):
    with contextlib.suppress(BrokerUnavailable):
        return task.delay(-5)
    return None


def answered(app):
    with contextlib.suppress(BrokerUnavailable):
        return app.control.ping(timeout=1.0)
    return None
