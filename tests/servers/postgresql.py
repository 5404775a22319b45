"""PostgreSQL 15 and PgBouncer, from Debian's packages."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql

from .cache import template
from .debian import unpacked
from .server import Server, give
from .tls import Certificates

#: A role without rights but in the databases that are its own, and its password; the superuser has the same.
USER, PASSWORD, SUPERUSER = "nbtasks", "secret", "postgres"
_numbers = itertools.count(1)


def packages() -> Path:
    """Return the folder with PostgreSQL and PgBouncer.

    Raises:
        Missing: they cannot be had.
    """
    return unpacked(
        "postgresql",
        *("postgresql-15", "postgresql-client-15", "libpq5", "libicu72", "libxml2", "libreadline8"),
        *("libldap-2.5-0", "libsasl2-2", "libssl3"),
        *("libgssapi-krb5-2", "libk5crypto3", "libkrb5-3", "libkrb5support0", "libkeyutils1"),
        *("pgbouncer", "libevent-2.1-7", "libc-ares2"),
    )


class PostgreSQL(Server):
    """A PostgreSQL server on a port of loopback and on a socket in its folder.

    Args:
        settings: of its configuration, as ``{"max_connections": 20}``.
        tls: encrypted connections only, with a certificate of an authority of its own.
        durable: False where nothing is looked at after a power failure: it does not wait for the disk.
        disk_mb: have its data on a disk of this size, which can be filled.
        primary: be its replica, which follows it as a stream, until it is promoted.
        folder: to be made for it, by this name.
    """

    stops_on = signal.SIGINT  # which does not wait for clients to leave, as SIGTERM does
    ends_on = signal.SIGQUIT

    def __init__(
        self,
        settings: Mapping[str, Any] | None = None,
        *,
        tls: bool = False,
        durable: bool = True,
        disk_mb: int | None = None,
        primary: PostgreSQL | None = None,
        folder: Path | None = None,
    ) -> None:
        super().__init__(packages(), disk_mb, folder)
        self.primary = primary
        self.certificates = Certificates(self.folder) if tls else None
        self.settings = {**self._own_settings(durable), **(settings or {})}
        self._programs = self.root / "usr/lib/postgresql/15/bin"
        self._data = self.disk / "data"

    # --- how it is named to clients -------------------------------------------------------------------------------

    def url(self, database: str = "postgres", user: str = USER, **options: str) -> str:
        """Return the URL of a database, over TCP."""
        if self.certificates is not None:
            options = {"sslmode": "verify-full", "sslrootcert": str(self.certificates.authority), **options}
        query = f"?{urlencode(options)}" if options else ""
        return f"postgresql://{user}:{PASSWORD}@127.0.0.1:{self.port}/{quote(database)}{query}"

    def socket_url(self, database: str = "postgres", user: str = USER) -> str:
        """Return the URL of a database over the socket, where nobody is asked for a password."""
        return f"postgresql://{user}@/{quote(database)}?{urlencode({'host': self.folder, 'port': self.port})}"

    @contextlib.contextmanager
    def admin(self, database: str = "postgres") -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """A connection of the superuser, which commits each statement."""
        url = self.socket_url(database, SUPERUSER)
        with contextlib.closing(psycopg.connect(url, autocommit=True, connect_timeout=10)) as connection:
            yield connection

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """An empty database that belongs to the user ``nbtasks``, by its name; it goes after the block."""
        name = f"t{os.getpid()}_{next(_numbers)}"
        with self.admin() as admin:
            admin.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(USER))
            )
        try:
            yield name
        finally:
            if self.running:
                with self.admin() as admin:
                    admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    # --- its life -------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Copy the template, or the primary."""
        rules = [
            "local all all trust",
            *(["hostnossl all all all reject"] if self.certificates else []),
            "host all,replication all 127.0.0.1/32 scram-sha-256",
        ]
        (self.folder / "rules").write_text("".join(f"{rule}\n" for rule in rules))
        give(self.folder / "rules")
        if self.primary is None:
            self.run("cp", "-r", str(template(self.root, _made)), str(self._data))
        else:
            program = str(self._programs / "pg_basebackup")
            source = self.primary.url("", SUPERUSER)
            self.run(program, "-d", source, "-D", str(self._data), "-R", "-X", "stream", "-c", "fast", "-N")
        self.run("chmod", "700", str(self._data))

    def command(self) -> list[str]:
        """Return how it is started."""
        settings = [f"--{name}={value}" for name, value in self.settings.items()]
        return [str(self._programs / "postgres"), "-D", str(self._data), *settings]

    def ask(self) -> None:
        """Ask it for a sign of life."""
        with self.admin() as admin:
            admin.execute("SELECT 1")

    def kill(self) -> None:
        """Kill it and all its processes, as a power failure does."""
        super().kill()
        _free_memory(self._data / "postmaster.pid")

    def promote(self) -> None:
        """Make a replica the primary."""
        with self.admin() as admin:
            assert admin.execute("SELECT pg_promote()").fetchone() == (True,)
        self.primary = None

    def _own_settings(self, durable: bool) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.folder,
            "hba_file": self.folder / "rules",
            "dynamic_shared_memory_type": "mmap",  # in its folder, which goes
            "shared_buffers": "32MB",
            "jit": "off",  # needs LLVM, which is large
            "log_line_prefix": "%m %b ",
        }
        if not durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        if self.certificates is not None:
            settings |= {
                "ssl": "on",
                "ssl_cert_file": self.certificates.chain,
                "ssl_key_file": self.certificates.key,
            }
        return settings


class PgBouncer(Server):
    """A PgBouncer before a PostgreSQL, on a port of loopback.

    Args:
        server: where its connections go.
        mode: when a connection of the pool is another client's: ``transaction``, ``session`` or ``statement``.
        size: most connections to the server, for each database and user.
    """

    stops_on = signal.SIGINT

    def __init__(self, server: PostgreSQL, mode: str = "transaction", size: int = 20) -> None:
        super().__init__(server.root)
        self.server, self.mode, self.size = server, mode, size

    def url(self, database: str = "postgres", user: str = USER) -> str:
        """Return the URL of a database, through the pool."""
        return f"postgresql://{user}:{PASSWORD}@127.0.0.1:{self.port}/{quote(database)}"

    def prepare(self) -> None:
        """Write its configuration."""
        users = "".join(f'"{user}" "{PASSWORD}"\n' for user in (USER, SUPERUSER))
        lines = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": self.folder,
            "auth_type": "scram-sha-256",
            "auth_file": self.folder / "users.txt",
            "pool_mode": self.mode,
            "default_pool_size": self.size,
            "max_client_conn": 500,
        }
        text = "[databases]\n" + f"* = host={self.server.folder} port={self.server.port}\n[pgbouncer]\n"
        text += "".join(f"{name} = {value}\n" for name, value in lines.items())
        for name, content in (("users.txt", users), ("pgbouncer.ini", text)):
            (self.folder / name).write_text(content)
            give(self.folder / name)

    def command(self) -> list[str]:
        """Return how it is started."""
        return [str(self.root / "usr/sbin/pgbouncer"), str(self.folder / "pgbouncer.ini")]

    def ask(self) -> None:
        """Ask the server through it."""
        with contextlib.closing(psycopg.connect(self.url(), connect_timeout=10)) as connection:
            connection.execute("SELECT 1")


@contextlib.contextmanager
def _made(root: Path) -> Iterator[Path]:
    with _Maker(root) as maker:
        maker.make()
        yield maker.disk / "data"


class _Maker(Server):
    """Makes a data folder, as the user that servers run as."""

    def make(self) -> None:
        programs, data = self.root / "usr/lib/postgresql/15/bin", self.disk / "data"
        password = self.folder / "password"
        password.write_text(PASSWORD)
        give(password)
        self.run(
            *(str(programs / "initdb"), "-D", str(data), "-U", SUPERUSER, f"--pwfile={password}"),
            *("--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--wal-segsize=4", "-A", "scram-sha-256"),
        )
        create = f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'"
        self.run(
            "sh",
            "-c",
            f'echo "$2" | \'{programs}/postgres\' --single -D "$1" postgres',
            "sh",
            str(data),
            create,
        )


def _free_memory(pidfile: Path) -> None:
    """Remove the small piece of shared memory that a killed server leaves, even if it is never started again."""
    with contextlib.suppress(OSError, IndexError):
        _, number = pidfile.read_text().splitlines()[6].split()
        ctypes.CDLL(None).shmctl(int(number), 0, None)
