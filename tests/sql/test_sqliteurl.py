"""A SQLite file's URL is read strictly, and leads to the file from any folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbtasks import App
from nbtasks.broker.sqliteurl import is_sqlite, parse_sqlite
from nbtasks.exceptions import ConfigError


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////srv/tasks/broker.db", "/srv/tasks/broker.db"),
        ("sqlite:///broker.db", "{here}/broker.db"),
        ("sqlite:///data/my%20broker.db", "{here}/data/my broker.db"),
        ("sqlite:////a/../b.db", "/b.db"),
        ("SQLite:////b.db", "/b.db"),
        ("sqla+sqlite:////b.db", "/b.db"),
        ("db+sqlite:///b.db", "{here}/b.db"),
        ("sqlite+pysqlite:////b.db", "/b.db"),
    ],
)
def test_what_a_url_says(url, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_sqlite(url)
    found = parse_sqlite(url)
    assert found.path == path.format(here=tmp_path)
    monkeypatch.chdir("/")
    assert parse_sqlite(found.whole) == found


def test_a_file_at_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse_sqlite("sqlite:///~/b.db").path == str(tmp_path / "b.db")


def test_how_it_is_written_is_an_option():
    assert parse_sqlite("sqlite:////b.db").synchronous == "FULL"
    found = parse_sqlite("sqlite:////b.db?synchronous=normal")
    assert found.synchronous == "NORMAL"
    assert parse_sqlite(found.whole) == found
    assert "synchronous" not in found.shown


def test_a_path_begins_where_it_was_written(tmp_path, monkeypatch, new_app):
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    argument, setting, backend = new_app("sqlite:///a.db"), new_app(None), new_app(None)
    setting.conf.broker_url = "sqla+sqlite:///b.db"
    backend.conf.update(broker_url="beanstalk://localhost", result_backend="db+sqlite:///c.db")
    monkeypatch.chdir(tmp_path / "sub")
    for app, name in ((argument, "a.db"), (setting, "b.db"), (backend, "c.db")):
        assert app.connection.address == f"sqlite:///{tmp_path}/{name}"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite://b.db", "three slashes"),
        ("sqlite:b.db", "three slashes"),
        ("sqlite://", "three slashes"),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "this process alone"),
        ("sqlite:///folder/", "names a folder"),
        ("sqlite:////b.db?synchronous=off", "full or normal"),
        ("sqlite:////b.db?synchronus=full", "did you mean synchronous"),
        ("sqlite:////b\n.db", "control character"),
    ],
)
def test_what_is_refused_says_why(url, said):
    with pytest.raises(ConfigError, match=said):
        App("sqlite", broker=url)


def test_a_file_needs_a_folder(tmp_path, new_app):
    app = new_app(f"sqlite:///{tmp_path}/missing/broker.db")
    with pytest.raises(ConfigError, match="there is no folder"):
        app.task(abs).delay(-1)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/dev", "is no file, but a folder or a device: name another place"),
        ("/dev/null", "is no file, but a folder or a device: name another place"),
        ("/proc/b.db", "no file b.db can be made in /proc for the broker: name another place"),
    ],
)
def test_where_no_file_can_be_is_said_at_once(path, said, new_line):
    if not Path(path).parent.is_dir():
        pytest.skip(f"there is no {path}")
    with pytest.raises(ConfigError, match=said):
        new_line(f"sqlite:///{path}").check()


def test_the_file_is_its_owners_alone(tmp_path, new_line):
    new_line(f"sqlite:///{tmp_path}/broker.db").check()
    modes = {path.name: path.stat().st_mode & 0o777 for path in Path(tmp_path).iterdir()}
    assert modes["broker.db"] == 0o600
    assert set(modes.values()) == {0o600}


def test_what_is_no_database_is_refused(tmp_path, new_line):
    (tmp_path / "broker.db").write_text("something else that somebody needs" * 100)
    with pytest.raises(ConfigError, match="no SQLite file"):
        new_line(f"sqlite:///{tmp_path}/broker.db").check()
    assert (tmp_path / "broker.db").read_text().startswith("something else")


def test_results_are_in_the_same_file(tmp_path, new_app, monkeypatch):
    monkeypatch.chdir(tmp_path)
    new_app("sqla+sqlite:///broker.db", backend=f"db+sqlite:///{tmp_path}/broker.db")
    with pytest.raises(ConfigError, match="is another one"):
        new_app("sqlite:///broker.db", backend="db+sqlite:///results.db")


def test_results_are_in_the_same_database(new_app):
    new_app("mysql://u:p@h/tasks", backend="db+mysql://u:p@h/tasks")
    with pytest.raises(ConfigError, match="is another one"):
        new_app("mysql://u:p@h/tasks", backend="db+mysql://u:p@other/tasks")


def test_what_is_said_is_about_this_url():
    with pytest.raises(ConfigError, match="names a folder: write the name of a file") as caught:
        parse_sqlite("sqlite:////srv/tasks/")
    assert "memory" not in str(caught.value)
    with pytest.raises(ConfigError, match="timeout is not known: leave it out") as caught:
        parse_sqlite("sqlite:////srv/b.db?timeout=3")
    assert "password" not in str(caught.value)
