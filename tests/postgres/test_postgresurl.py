"""A PostgreSQL's URL is read strictly, and its password is never told."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from nbtasks import App
from nbtasks.broker.pgurl import parse_pg
from nbtasks.exceptions import ConfigError


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("postgresql://h/db", {"host": "h", "port": "5432", "dbname": "db"}),
        ("postgres://h:1/db", {"host": "h", "port": "1", "dbname": "db"}),
        ("db+postgresql+psycopg2://h/db", {"host": "h", "port": "5432", "dbname": "db"}),
        (
            "postgresql://u:p%40%2F%3A@h/db%20x",
            {"user": "u", "password": "p@/:", "host": "h", "port": "5432", "dbname": "db x"},
        ),
        ("postgresql://a:1,b/db", {"host": "a,b", "port": "1,5432", "dbname": "db"}),
        ("postgresql://[::1]:7/db", {"host": "::1", "port": "7", "dbname": "db"}),
        ("postgresql:///db?host=/run/postgresql", {"host": "/run/postgresql", "dbname": "db"}),
        (
            "postgresql://h/db?sslmode=verify-full&sslrootcert=/ca.pem",
            {"host": "h", "port": "5432", "dbname": "db", "sslmode": "verify-full", "sslrootcert": "/ca.pem"},
        ),
    ],
)
def test_what_a_url_says(url, options):
    assert parse_pg(url).options == options


def test_schema_and_pooler_are_ours():
    assert (parse_pg("postgresql://h/db").schema, parse_pg("postgresql://h/db").pooler) == ("nbtasks", None)
    found = parse_pg("postgresql://h/db?schema=tasks&pooler=true")
    assert (found.schema, found.pooler) == ("tasks", True)
    assert "schema" not in found.options


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:secret@h/db?sslmod=require", "did you mean sslmode"),
        ("postgresql://u:secret@h/db?connect_timeout=3", "nbtasks itself decides"),
        ("postgresql://u:secret@h/db?options=-cstatement_timeout=3", "nbtasks itself decides"),
        ("postgresql://h/db?password=secret", "user:password@host"),
        ("postgresql://u:secret/1@h/db", "percent|password"),
        ("postgresql://u:secret#1@h/db", "%23"),
        ("postgresql://u:secret@h:99999/db", "port"),
        ("postgresql://u:secret@h/db?schema=No", "small letters"),
        ("postgresql://u:secret@h/db?schema=pg_x", "small letters"),
        ("postgresql://u:secret@h/db?pooler=perhaps", "true or false"),
        ("postgresql://u:secret@h/db?sslmode=", "needs a value"),
        ("postgresql://u:secret@h/db?sslmode=require&sslmode=disable", "twice"),
        ("postgresql://u:secret@h/db\n", "control character"),
        ("postgresql://u:secret@h/db ", "ends with a space"),
        ("postgresql://u:secret%ZZ@h/db", "two digits.*%25"),
        ("postgresql://u:secret%00@h/db", "two digits"),
        ("postgresql://u:secret@h/db;postgresql://u:secret@h2/db", "these are several URLs.*standbys"),
        (["postgresql://u:secret@h/db", "postgresql://u:secret@h2/db"], "several|a text, not list"),
        ("postgresql://u:secret@h/db?sslmode=requir", "sslmode needs one of disable, .*verify-full"),
        (
            "postgresql://u:secret@h/db?target_session_attrs=read-only",
            "needs one of any, read-write, primary",
        ),
        ("postgresql://u:secret@h/db?ssl_min_protocol_version=1.2", "needs one of TLSv1,"),
    ],
)
def test_a_url_that_makes_no_sense_is_refused_by_what_is_wrong(url, said):
    with pytest.raises(ConfigError, match=said) as caught:
        App("x", broker=url)
    assert "secret" not in str(caught.value)


def test_nothing_shown_has_a_login():
    found = parse_pg("postgresql://somebody:secret@h:1,h2:2/db?sslmode=require")
    assert found.shown == "postgresql://h:1,h2:2/db"
    assert repr(found) == "<PgUrl postgresql://h:1,h2:2/db>"
    app = App("x", broker="postgresql://somebody:secret@h/db")
    assert "secret" not in repr(app)
    app.close()


#: With psycopg as where it was never installed.
WITHOUT = """
import sys
sys.modules["psycopg"] = None
from nbtasks import App, ConfigError
from nbtasks.cli import main
try:
    App(broker="postgresql://u:secret@h/db").task(abs).delay(-1)
except ConfigError as error:
    print(error)
sys.argv = ["nbtasks", "worker", "-b", "postgresql://u:secret@h/db", "-c", "1"]
sys.exit(main())
"""


def test_without_psycopg_one_sentence_says_what_to_install(home):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        env={**os.environ, "NBTASKS_KEY": "A" * 43},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    sentence = r"a broker at postgresql://h/db needs psycopg \(.*\): pip install 'nbtasks\[postgres\]'"
    assert re.fullmatch(rf"{sentence}\n", done.stdout), done
    assert re.search(rf"^Error: {sentence}$", done.stderr, re.MULTILINE), done
    assert "Traceback" not in done.stderr
    assert done.returncode
    assert "secret" not in done.stdout + done.stderr
