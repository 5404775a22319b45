"""Sockets of servers whose folder has a path that no socket can have."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from pathlib import Path

import pytest

from nbtasks import App
from nbtasks.local.server import embedded, valuefiles
from nbtasks.local.server.serverplace import socket_path
from nbtasks.local.server.sockets import folder_of, socket_folder


@pytest.fixture
def deep(home, monkeypatch):
    """A state folder with a long path, and a place for temporary files of its own."""
    folder = home / ("deep" * 30)
    folder.mkdir(mode=0o700)
    (home / "tmp").mkdir()
    monkeypatch.setenv("NBTASKS_HOME", str(folder))
    monkeypatch.setenv("TMPDIR", str(home / "tmp"))
    yield folder
    # What was put elsewhere.
    for link in folder.glob("embedded/*/sockets"):
        shutil.rmtree(link.readlink(), ignore_errors=True)


def test_everything_works_elsewhere_and_values_stay_with_the_data(deep, project_here):
    with App() as app:
        app.start_workers(1)
        handle = app.task(bytes).delay(300_000)
        assert len(handle.get(timeout=60)) == 300_000
        sockets = socket_path(app.connection.url).parent
        assert folder_of(sockets) == app._opened.lease.folder
        assert list((app._opened.lease.folder / "values").glob("nbtasks~*"))


def test_places_of_servers_whose_folder_was_deleted_are_cleaned_up(home, deep):
    def place_of(name):
        folder = deep / name
        folder.mkdir(mode=0o700)
        return socket_folder(folder, 10)

    gone, silent, busy = place_of("gone"), place_of("silent"), place_of("busy")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(busy / "s"))
        listening.listen()
        with socket.socket(socket.AF_UNIX) as closed:
            closed.bind(str(silent / "s"))
        for name in ("gone", "silent", "busy"):
            shutil.rmtree(deep / name)
        new = place_of("new")
        assert [one.exists() for one in (gone, silent, busy, new)] == [False, False, True, True]


@pytest.fixture
def project_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_who_comes_with_another_tmpdir_finds_the_same(deep, project_here, monkeypatch):
    with contextlib.closing(embedded.acquire()) as first:
        monkeypatch.delenv("TMPDIR")
        second = embedded.acquire()
        assert (second.url, second.pid) == (first.url, first.pid)
        second.close()


def test_a_joined_lease_brings_it_back_in_its_own_folder(deep, project_here, eventually):
    with contextlib.closing(embedded.acquire()) as lease:
        joined = embedded.join(lease.url)
        assert joined.folder == lease.folder
        os.kill(lease.pid, 9)
        eventually(lambda: not joined.alive, "the keeper is dead")
        assert joined.ensure()
        assert lease.ensure()
        assert joined.pid == lease.pid
        joined.close()


def squat_on(place, how, target):
    """Put there what somebody else would."""
    if how == "folder":
        place.mkdir()
        place.chmod(0o777)
    elif how == "link":
        place.symlink_to(target)
    else:
        place.touch()


@pytest.mark.parametrize("squat", ["folder", "link", "file"])
def test_a_place_that_is_somebody_elses_is_passed_over(deep, home, tmp_path, squat):
    mine = home / "tmp" / f"nbtasks-{os.getuid()}"
    squat_on(mine, squat, tmp_path)
    folder = deep / "server"
    folder.mkdir(mode=0o700)
    chosen = socket_folder(folder, 11)
    try:
        assert mine not in chosen.parents
        assert socket_folder(folder, 11) == chosen
    finally:
        shutil.rmtree(chosen)


def test_a_state_folder_whose_name_is_not_utf_8(home, project_here, monkeypatch):
    odd = os.fsdecode(os.fsencode(home) + b"/odd-\xff\xfe")
    monkeypatch.setenv("NBTASKS_HOME", odd)
    with App() as app:
        app.start_workers(1)
        assert len(app.task(bytes).delay(300_000).get(timeout=60)) == 300_000
        sockets = socket_path(app.connection.url).parent
    shutil.rmtree(sockets)


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="this machine has no /dev/shm")
@pytest.mark.parametrize("squat", ["folder", "link", "file"])
def test_a_place_in_memory_that_is_somebody_elses_is_passed_over_with_one_warning(
    home, tmp_path, monkeypatch, caplog, project_here, squat
):
    place = tmp_path / "shm" / "nbtasks-0"
    place.parent.mkdir()
    squat_on(place, squat, tmp_path)
    monkeypatch.setattr(valuefiles, "memory_folder", lambda folder: str(place / Path(folder).name))
    with App() as app:
        app.start_workers(1)
        for _ in range(2):
            assert len(app.task(bytes.upper).delay(b"x" * 300_000).get(timeout=60)) == 300_000
    with App() as app:
        assert app.batches() == app.session.registry.recent()
    assert [each.message for each in caplog.records].count(caplog.records[0].message) == 1
    assert "not for this user alone" in caplog.text
