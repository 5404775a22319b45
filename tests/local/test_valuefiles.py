"""Files of large values beside the embedded server: private, where there is room, gone with the server's data."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from nbtasks.local.server import embedded, valuefiles
from nbtasks.local.server.keeper import layout, valuefolders
from nbtasks.local.server.serverplace import socket_path
from nbtasks.local.server.valuefiles import ValueFiles

needs_memory = pytest.mark.skipif(not Path(layout.MEMORY).is_dir(), reason="this machine has no /dev/shm")


@pytest.fixture
def files(lease):
    return ValueFiles.beside(lease.url, "test")


def folders_of(lease):
    """Where the files of a server may be: in memory, on disk."""
    home = socket_path(lease.url).parent
    return Path(valuefolders.memory_folder(str(home))), home / layout.VALUES_FOLDER


def written(lease):
    return {path for folder in folders_of(lease) if folder.is_dir() for path in folder.glob("test~*")}


def test_what_is_written_is_read_by_others(lease, files):
    assert files.write("one", [b"a" * 1_000_000, memoryview(b"b" * 10), b""])
    others = ValueFiles.beside(lease.url, "test")
    assert others.place == files.place
    assert bytes(others.read("one", 1_000_010)) == b"a" * 1_000_000 + b"b" * 10
    assert others.has("one")
    assert not others.has("two")


def test_what_a_reader_writes_is_his_own(files):
    files.write("one", [b"a" * 1_000_000])
    mine = files.read("one", 1_000_000)
    mine[0] = ord("!")
    assert files.read("one", 1_000_000)[0] == ord("a")


def test_nobody_else_can_read_them(lease, files):
    files.write("one", [b"secret"])
    (path,) = written(lease)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_that_others_may_write_is_not_read(lease, files):
    files.write("one", [b"secret"])
    (path,) = written(lease)
    path.chmod(0o620)
    with pytest.raises(PermissionError, match="other users"):
        files.read("one", 6)


def test_a_link_is_not_followed(lease, files, tmp_path):
    (tmp_path / "elsewhere").write_bytes(b"secret")
    folders_of(lease)[1].joinpath("test~one").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="one"):
        files.read("one", 6)


def test_namespaces_do_not_meet(lease, files):
    files.write("one", [b"here"])
    others = ValueFiles.beside(lease.url, "other")
    assert not others.has("one")
    assert others.older_than(-60) == []
    assert files.older_than(-60) == ["one"]
    assert files.older_than(60) == []


def test_there_are_none_beside_other_servers(lease, tmp_path):
    assert ValueFiles.beside("redis://localhost", "test") is None
    assert ValueFiles.beside(f"unix://{tmp_path}/server.sock", "test") is None


@needs_memory
def test_a_small_memory_is_not_filled(lease, files, monkeypatch):
    """A container may have 64 MB of it."""
    real = os.statvfs

    def small(path):
        facts = real(path)
        if not str(path).startswith(layout.MEMORY):
            return facts
        blocks = 64 * 2**20 // facts.f_frsize
        return os.statvfs_result((facts.f_bsize, facts.f_frsize, blocks, blocks, blocks, *facts[5:]))

    monkeypatch.setattr(valuefiles.os, "statvfs", small)
    memory, disk = folders_of(lease)
    assert files.write("fits", [b"a" * 20 * 2**20])
    assert files.write("large", [b"b" * 40 * 2**20])
    assert (memory / "test~fits").exists()
    assert (disk / "test~large").exists()
    assert files.read("large", 40 * 2**20)[-1] == ord("b")


def test_where_there_is_no_room_at_all_nothing_is_left(lease, files, monkeypatch):
    def full(fd, buffers):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(valuefiles.os, "writev", full)
    assert not files.write("one", [b"x" * 1000])
    assert written(lease) == set()


@needs_memory
def test_the_last_goodbye_moves_them_to_the_disk(lease, files):
    files.write("one", [b"a" * 1_000_000])
    memory, disk = folders_of(lease)
    assert (memory / "test~one").exists()
    lease.close()
    assert not memory.exists()
    again = embedded.acquire()
    try:
        assert bytes(ValueFiles.beside(again.url, "test").read("one", 1_000_000)) == b"a" * 1_000_000
        assert (disk / "test~one").exists()
    finally:
        again.close()


@needs_memory
def test_memory_of_a_server_whose_folder_is_gone_is_freed(lease, files, tmp_path):
    gone = Path(layout.MEMORY, f"nbtasks-{os.getuid()}", f"gone-{os.getpid()}")
    gone.mkdir(mode=0o700)
    (gone / "ns~value").write_bytes(b"x")
    (gone / layout.HOME_LINK).symlink_to(tmp_path / "was here")
    valuefolders.sweep_memory(str(socket_path(lease.url).parent))
    assert not gone.exists()
    assert folders_of(lease)[0].exists()


@needs_memory
def test_a_folder_of_somebody_else_is_left_alone(lease, files, monkeypatch):
    """In /dev/shm anybody may have made the folder that is ours by its name."""
    files.write("one", [b"x" * 1000])
    monkeypatch.setattr(valuefolders.os, "getuid", lambda: 12345)
    home = str(socket_path(lease.url).parent)
    foreign = Path(valuefolders.memory_folder(home))
    monkeypatch.undo()
    foreign.mkdir(parents=True)
    foreign.parent.chmod(0o777)
    try:
        (foreign / "ns~value").write_bytes(b"x")
        for module in (valuefiles, valuefolders):
            monkeypatch.setattr(module, "memory_folder", lambda _: str(foreign))
        beside = ValueFiles.beside(lease.url, "test")
        assert beside.write("two", [b"y"])
        valuefolders.remove_values(home)
        valuefolders.keep_values(home)
        assert [path.name for path in foreign.iterdir()] == ["ns~value"]
    finally:
        monkeypatch.undo()
        (foreign / "ns~value").unlink()
        foreign.rmdir()
        foreign.parent.rmdir()
