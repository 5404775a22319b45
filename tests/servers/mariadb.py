"""MariaDB 10.11, from Debian's packages."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pymysql

from .cache import template
from .debian import unpacked
from .server import Server, give
from .tls import Certificates

#: A user without rights but in the databases that are its own, and its password.
USER, PASSWORD = "nbtasks", "secret"
_numbers = itertools.count(1)


def packages() -> Path:
    """Return the folder with MariaDB.

    Raises:
        Missing: they cannot be had.
    """
    return unpacked(
        "mariadb",
        *("mariadb-server-core", "mariadb-server", "mariadb-client-core"),
        *("libaio1", "liburing2", "libnuma1", "libssl3", "libedit2", "libncurses6"),
    )


class MariaDB(Server):
    """A MariaDB server on a port of loopback and on a socket in its folder.

    Args:
        settings: of its configuration, as ``{"max_connections": 20}``.
        tls: encrypted connections only, with a certificate of an authority of its own.
        durable: False where nothing is looked at after a power failure: it does not wait for the disk.
        disk_mb: have its data on a disk of this size, which can be filled.
        folder: to be made for it, by this name.
    """

    def __init__(
        self,
        settings: Mapping[str, Any] | None = None,
        *,
        tls: bool = False,
        durable: bool = True,
        disk_mb: int | None = None,
        folder: Path | None = None,
    ) -> None:
        super().__init__(packages(), disk_mb, folder)
        self.certificates = Certificates(self.folder) if tls else None
        self.settings = {**self._own_settings(durable), **(settings or {})}
        self._data = self.disk / "data"

    # --- how it is named to clients -------------------------------------------------------------------------------

    def url(self, database: str = "", user: str = USER, **options: str) -> str:
        """Return the URL of a database."""
        if self.certificates is not None:
            options = {"ssl_ca": str(self.certificates.authority), **options}
        query = f"?{urlencode(options)}" if options else ""
        return f"mysql://{user}:{PASSWORD}@127.0.0.1:{self.port}/{quote(database)}{query}"

    def connect(self, database: str | None = None, user: str = USER) -> pymysql.Connection[Any]:
        """Return a connection of PyMySQL, which commits each statement; closed by ``with contextlib.closing``."""
        ssl = {} if self.certificates is None else {"ssl_ca": str(self.certificates.authority)}
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user=user, password=PASSWORD, database=database,
            autocommit=True, connect_timeout=10, **ssl,
        )  # fmt: skip

    @contextlib.contextmanager
    def admin(self) -> Iterator[pymysql.cursors.Cursor]:
        """A cursor of the superuser, which commits each statement."""
        connection = pymysql.connect(
            unix_socket=str(self.folder / "socket"), user="root", autocommit=True, connect_timeout=10
        )
        with contextlib.closing(connection), connection.cursor() as cursor:
            yield cursor

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """An empty database in which the user ``nbtasks`` may do all, by its name; it goes after the block."""
        name = f"t{os.getpid()}_{next(_numbers)}"
        with self.admin() as admin:
            admin.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
            admin.execute(f"GRANT ALL ON {name}.* TO {USER}@localhost")
        try:
            yield name
        finally:
            if self.running:
                with self.admin() as admin:
                    admin.execute(f"DROP DATABASE {name}")

    # --- its life -------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Copy the template."""
        self.run("cp", "-r", str(template(self.root, _made)), str(self._data))

    def command(self) -> list[str]:
        """Return how it is started."""
        settings = [f"--{name.replace('_', '-')}={value}" for name, value in self.settings.items()]
        return [*_program(self.root), f"--datadir={self._data}", *settings]

    def ask(self) -> None:
        """Ask it for a sign of life."""
        with self.admin() as admin:
            admin.execute("SELECT 1")

    def _own_settings(self, durable: bool) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "bind_address": "127.0.0.1",
            "port": self.port,
            "socket": self.folder / "socket",
            "pid_file": self.folder / "pid",
            "tmpdir": self.folder,
            "innodb_buffer_pool_size": "32M",
            "innodb_log_file_size": "8M",
            "innodb_use_native_aio": 0,  # of which a machine has few
        }
        if not durable:
            settings |= {"innodb_flush_log_at_trx_commit": 0, "innodb_flush_method": "nosync"}
        if self.certificates is not None:
            settings |= {
                "ssl_ca": self.certificates.authority,
                "ssl_cert": self.certificates.chain,
                "ssl_key": self.certificates.key,
                "require_secure_transport": 1,
            }
        return settings


def _program(root: Path) -> list[str]:
    return [
        str(root / "usr/sbin/mariadbd"),
        "--no-defaults",
        f"--basedir={root / 'usr'}",
        f"--lc-messages-dir={root / 'usr/share/mysql'}",
        f"--plugin-dir={root / 'usr/lib/mysql/plugin'}",
    ]


@contextlib.contextmanager
def _made(root: Path) -> Iterator[Path]:
    with _DataMaker(root) as maker:
        maker.make()
        yield maker.disk / "data"


class _DataMaker(Server):
    """Makes a data folder, as the user that servers run as: what mariadb-install-db does where it is installed."""

    def make(self) -> None:
        share = self.root / "usr/share/mysql"
        (self.disk / "data").mkdir()
        give(self.disk / "data")
        text = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n"
        for part in ("system_tables", "performance_tables", "system_tables_data"):
            text += (share / f"mysql_{part}.sql").read_text()
        text += f"FLUSH PRIVILEGES;\nCREATE USER {USER}@localhost IDENTIFIED BY '{PASSWORD}';\n"
        source = self.folder / "bootstrap.sql"
        source.write_text(text)
        give(source)
        self.run(
            *("sh", "-c", 'source=$0; exec "$@" < "$source"', str(source), *_program(self.root)),
            *(f"--datadir={self.disk / 'data'}", "--bootstrap", "--innodb-log-file-size=8M"),
            *("--innodb-use-native-aio=0", "--innodb-flush-method=nosync"),
        )
