"""What a MariaDB refuses, and what is refused of one, in words that say what to do."""

from __future__ import annotations

import pytest

from nbtasks.exceptions import BrokerUnavailable, BrokerUnsuitable, ConfigError
from tests.servers.mariadb import MariaDB


@pytest.mark.parametrize(
    ("option", "kind"),
    [("ssl_ca", ConfigError), ("ssl_cert", ConfigError), ("unix_socket", BrokerUnavailable)],
)
def test_a_file_of_the_url_that_is_not_there_is_named(option, kind, tmp_path, new_line):
    path = tmp_path / "missing"
    with pytest.raises(kind, match=f"{option} of its URL names {path}, and there is no such file"):
        new_line(f"mysql://localhost:1/app?{option}={path}").check()


def test_what_is_lost_is_said_in_words(mariadb_server, mariadb_url, new_line):
    line = new_line(mariadb_url)
    line.check()
    line.patience_s = 0.0
    with mariadb_server.admin() as admin:
        admin.execute(
            "SELECT id FROM information_schema.processlist WHERE db = %s", [mariadb_url.rpartition("/")[2]]
        )
        for (number,) in admin.fetchall():
            admin.execute(f"KILL {number}")
    with pytest.raises(BrokerUnavailable, match=r"cannot be reached \(the connection was lost\)"):
        line.housekeeping().note_audit("mine")


@pytest.mark.long
def test_a_server_that_takes_only_short_statements_is_refused(start_server, new_line):
    server = start_server(MariaDB, settings={"max_allowed_packet": 4 * 2**20})
    with server.database() as name:
        line = new_line(server.url(name))
        with pytest.raises(BrokerUnsuitable, match="max_allowed_packet = 16777216"):
            line.check()
        with server.admin() as admin:
            admin.execute("SET GLOBAL max_allowed_packet = 16777216")
        line.check()
