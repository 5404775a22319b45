"""Somebody without the key writes nonsense into one key of the server: it costs what is in there, and nothing else."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from nbtasks import App, NbtasksError
from nbtasks.core.lanenames import LANES

SOON = 50.0
LAST_ID = f"{2**64 - 1}-{2**64 - 1}"
NONSENSE = {
    "letters": "abc",
    "exponent": "1e3",
    "hexadecimal": "0x10",
    "nan": "nan",
    "inf": "inf",
    "negative": "-5",
    "fraction": "1.5",
    "spaces": " 7 ",
    "2^31": str(2**31),
    "2^53": str(2**53 + 1),
    "2^63": str(2**63),
    "digits": "9" * 5000,
    "nothing": "",
    "binary": bytes(range(256)),
    "lines": "1\n2\x1b[31m",
}
#: Something of each type, put in the place of a key.
TYPES: dict[str, Callable[[redis.Redis, str], Any]] = {
    "string": lambda client, key: client.set(key, "abc"),
    "list": lambda client, key: client.rpush(key, "abc"),
    "hash": lambda client, key: client.hset(key, "abc", "def"),
    "set": lambda client, key: client.sadd(key, "abc"),
    "zset": lambda client, key: client.zadd(key, {"abc": 1}),
    "stream": lambda client, key: client.xadd(key, {"abc": "def"}),
}

#: The keys of which each type is tried, and what a worker shows of itself.
KEYS = (
    "high", "lane", "returned", "delayed", "limit", "cuts", "addresses", "batch", "states", "records", "batches",
    "function", "blobs", "session", "events", "lease", "info", "workers", "control", "audited", "function uses",
    "ahead", "reap lock", "mend lock", "happened",
)  # fmt: skip
SHOWN = (
    "name", "host", "pid", "python", "key_id", "key_ids", "queues", "pool", "concurrency", "slots_busy",
    "slots_total", "slots_waiting", "rss_bytes", "started_at", "seen_at", "processed", "packages", "place", "running",
    "children",
)  # fmt: skip


@dataclass
class Scene:
    """What a vandal finds: an App with one worker, a map that runs, and calls that wait."""

    client: redis.Redis
    app: App
    running: Any
    waiting: Any
    later: Any

    @property
    def keys(self):
        """Names of the App's keys."""
        return self.app.session.line.keys

    @property
    def address(self) -> str:
        """Of the queue."""
        return self.app.session.address("default")

    @property
    def lane(self) -> str:
        """Where calls of normal priority are."""
        return self.keys.lane(self.address, "m")

    @property
    def worker(self) -> str:
        """The worker's id."""
        return next(one.id for one in self.app.workers() if one.matches and not one.id.startswith("evil"))

    def entry(self, **fields: Any) -> None:
        """Put an entry into the queue, before all others; what is not said is as one of ours has it."""
        frame = b"NB2C" + b"x" * 500
        entry = {"b": "0" * 20, "i": 0, "n": 1, "a": 1, "x": "", "d": frame} | fields
        self.client.xadd(self.keys.lane(self.address, "H"), entry)

    def named(self) -> dict[str, str]:
        """Every kind of key, by name."""
        keys, batch, session = self.keys, self.running.id, self.app.session._outbox.session
        return {
            "high": keys.lane(self.address, "h"),
            "lane": self.lane,
            "returned": keys.lane(self.address, "M"),
            "delayed": keys.delayed(self.address),
            "limit": keys.limit("0123456789abcdef:10/s"),
            "cuts": keys.cuts(self.address),
            "addresses": keys.addresses,
            "batch": keys.batch(batch),
            "states": keys.states(batch),
            "records": keys.records(batch),
            "batches": keys.batches,
            "function": keys.function(self.running.batch.parcel.function),
            "function uses": f"{keys.root}fu",
            "blobs": keys.batch_blobs(batch),
            "session": keys.session(session),
            "events": keys.events(session),
            "lease": keys.lease(self.worker),
            "info": keys.worker_info(self.worker),
            "workers": keys.workers,
            "control": keys.control,
            "audited": keys.audited,
            "ahead": keys.ahead,
            "happened": keys.happened,
            "reap lock": keys.lock("reap"),
            "mend lock": keys.lock("mend"),
        }

    def put(self, name: str, kind: str) -> None:
        """Put something of another type in the place of a key."""
        key = self.named()[name]
        self.client.delete(key)
        TYPES[kind](self.client, key)


def end_stream(scene: Scene, key: str) -> None:
    """Put an entry into a stream that nothing can come after."""
    scene.client.xadd(key, {"k": "c", "d": "x", "n": "1", "a": "1", "x": "", "f": ""}, id=LAST_ID)


def describe(scene: Scene, text: str) -> None:
    """Have another worker described, which is not there."""
    scene.client.set(scene.keys.worker_info("evil-1-0"), text)
    scene.client.zadd(scene.keys.workers, {"evil-1-0": time.time() * 1000})


def with_field(scene: Scene, name: str, value: Any) -> str:
    """What the worker shows of itself, with one thing changed."""
    shown = json.loads(scene.client.get(scene.keys.worker_info(scene.worker)))
    return json.dumps({**shown, "id": "evil-1-0", name: value})


def vandalisms() -> dict[str, Callable[[Scene], Any]]:
    """Everything that is tried."""
    found: dict[str, Callable[[Scene], Any]] = {}
    for name in KEYS:
        for kind in TYPES:
            found[f"{name} is a {kind}"] = lambda scene, name=name, kind=kind: scene.put(name, kind)
    for field in "nde t f s x q m".replace(" ", ""):
        for title, value in NONSENSE.items():
            found[f"batch {field} {title}"] = lambda scene, field=field, value=value: scene.client.hset(
                scene.keys.batch(scene.running.id), field, value
            )
    for field in "binad":
        for title, value in NONSENSE.items():
            found[f"entry {field} {title}"] = lambda scene, field=field, value=value: scene.entry(
                **{field: value}
            )
    for title, value in NONSENSE.items():
        found |= {
            f"order v{title}": lambda scene, value=value: scene.client.hset(
                scene.keys.batch(scene.running.id), b"v" + _bytes(value), "x"
            ),
            f"session n {title}": lambda scene, value=value: scene.client.hset(
                scene.named()["session"], "n", value
            ),
            f"function uses {title}": lambda scene, value=value: scene.client.hset(
                f"{scene.keys.root}fu", scene.running.batch.parcel.function, value
            ),
            f"record field {title}": lambda scene, value=value: scene.client.hset(
                scene.keys.records(scene.running.id), _bytes(value) + b"+" + _bytes(value), "x"
            ),
            f"address {title}": lambda scene, value=value: scene.client.sadd(scene.keys.addresses, value),
            f"worker {title}": lambda scene, value=value: scene.client.zadd(scene.keys.workers, {value: 1}),
            f"ahead {title}": lambda scene, value=value: scene.client.set(scene.keys.ahead, value),
            f"lease {title}": lambda scene, value=value: scene.client.set(
                scene.keys.lease(scene.worker), value
            ),
            f"batch name {title}": lambda scene, value=value: scene.client.zadd(
                scene.keys.batches, {value: 1}
            ),
            f"cut {title}": lambda scene, value=value: [
                scene.client.hset(scene.keys.cuts(scene.address), f"{lane}/{entry.decode()}", value)
                for lane in LANES
                for entry, _ in scene.client.xrange(scene.keys.lane(scene.address, lane))
            ],
            f"event {title}": lambda scene, value=value: scene.client.xadd(
                scene.named()["events"],
                {"k": "r", "b": scene.running.id, "i": value, "n": value, "w": value, "d": value},
            ),
            f"control {title}": lambda scene, value=value: scene.client.xadd(
                scene.keys.control, {"k": value, "d": value}
            ),
            f"delayed {title}": lambda scene, value=value: scene.client.zadd(
                scene.keys.delayed(scene.address), {_bytes(value) + b"\n": 0, b"m " + _bytes(value): 1}
            ),
            f"delayed count {title}": lambda scene, value=value: scene.client.zadd(
                scene.keys.delayed(scene.address),
                {b"m %s 0 %s 1\nframe" % (scene.running.id.encode(), _bytes(value)): 0},
            ),
        }
    for field in SHOWN:
        for title, value in {
            "null": None, "text": "x\n\x1b[31my", "number": 1e308, "huge": 10**400, "list": [[[]]], "dict": {"a": {}},
            "negative": -1, "nan": float("nan"), "true": True,
        }.items():  # fmt: skip
            found[f"info {field} {title}"] = lambda scene, field=field, value=value: describe(
                scene, with_field(scene, field, value)
            )
    found |= {
        "info deep": lambda scene: describe(scene, "[" * 100_000),
        "info deep dict": lambda scene: describe(scene, '{"id":' * 100_000),
        "info huge": lambda scene: describe(scene, '{"id":"' + "x" * 10_000_000 + '"}'),
        "info running calls": lambda scene: describe(
            scene, with_field(scene, "running", [[scene.running.id, 10**9, -1e308]])
        ),
        "entry of 50,000,000 calls": lambda scene: scene.entry(b=scene.running.id, n=50_000_000),
        "entry with few fields": lambda scene: scene.client.xadd(scene.lane, {"b": "x"}),
        "entry with many fields": lambda scene: scene.client.xadd(
            scene.lane, {str(number): "x" for number in range(5000)}
        ),
        "entry with other fields": lambda scene: scene.client.xadd(
            scene.lane, dict(zip("axdnib", ("1", "x", "y", "z", "", "0"), strict=True))
        ),
        "attempt of 32 bits": lambda scene: scene.entry(b=scene.running.id, a=2**32 + 1),
        "last lane id": lambda scene: end_stream(scene, scene.lane),
        "last high lane id": lambda scene: end_stream(scene, scene.keys.lane(scene.address, "h")),
        "last returned lane id": lambda scene: end_stream(scene, scene.keys.lane(scene.address, "M")),
        "last event id": lambda scene: end_stream(scene, scene.named()["events"]),
        "last control id": lambda scene: end_stream(scene, scene.keys.control),
        "lane's last id is set": lambda scene: scene.client.execute_command("XSETID", scene.lane, LAST_ID),
        "group far ahead": lambda scene: scene.client.xgroup_setid(scene.lane, "w", LAST_ID),
        "group a little ahead": lambda scene: scene.client.xgroup_setid(
            scene.lane, "w", f"{int(time.time() * 1000) + 3_600_000}-0"
        ),
        "group gone": lambda scene: scene.client.xgroup_destroy(scene.lane, "w"),
        "other group": lambda scene: scene.client.xgroup_create(scene.lane, "other", "0"),
        "consumers": lambda scene: [
            scene.client.xgroup_createconsumer(scene.lane, "w", name)
            for name in ("", "x", b"\xff/0", "a\nb/1", "evil-1-0/0", "y" * 5000)
        ],
        "delayed inf": lambda scene: scene.client.zadd(
            scene.keys.delayed(scene.address), {"x": "inf", "y": "-inf", "z": 1e300, "w": -1e300}
        ),
        "locks for ever": lambda scene: [
            scene.client.set(scene.keys.lock(what), "evil") for what in ("reap", "mend", "audit")
        ],
        "lease for ever": lambda scene: scene.client.set(scene.keys.lease("evil-1-0"), "1"),
        "workers from the future": lambda scene: scene.client.zadd(
            scene.keys.workers, {"evil-1-0": "inf", "evil-2-0": 1e15, scene.worker: 1e15}
        ),
        "batches at odd moments": lambda scene: scene.client.zadd(
            scene.keys.batches, {scene.running.id: "inf", "f" * 20: "-inf"}
        ),
        "batches of the future": lambda scene: scene.client.zadd(
            scene.keys.batches, {f"{place:020x}": 1e15 + place for place in range(500)} | {"x\n": "inf"}
        ),
        "states of every code": lambda scene: scene.client.set(
            scene.keys.states(scene.running.id), bytes(range(256))
        ),
        "a million sessions": lambda scene: scene.client.hset(
            scene.keys.batch(scene.running.id), "s", "ab " * 1_000_000
        ),
    }
    for name, number in {"workers": 100_000, "addresses": 100_000, "batches": 100_000}.items():
        found[f"many {name}"] = lambda scene, name=name, number=number: _many(scene, name, number)
    return found


def _many(scene: Scene, name: str, number: int) -> None:
    with scene.client.pipeline(transaction=False) as pipe:
        for place in range(number):
            if name == "addresses":
                pipe.sadd(scene.keys.addresses, f"evil{place}@3.11.{scene.app.session.keyring.id}")
            elif name == "workers":
                pipe.zadd(scene.keys.workers, {f"evil-{place}-0": place})
            else:
                pipe.zadd(scene.keys.batches, {f"{place:020x}": place})
        pipe.execute()


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


ALL = vandalisms()
#: Those that stand for their kind in the short run.
SHORT = [
    "lane is a string", "delayed is a list", "addresses is a hash", "records is a string", "states is a hash",
    "batch is a zset", "session is a list", "events is a string", "workers is a string", "control is a set",
    "batch d letters", "entry n exponent", "attempt of 32 bits", "entry of 50,000,000 calls", "order vdigits",
    "last lane id", "last event id", "locks for ever", "info deep", "cut exponent", "batches of the future",
]  # fmt: skip


def hold(path: str) -> str:
    """Task code: wait until a file is there."""
    from pathlib import Path

    end = time.monotonic() + 60
    while not Path(path).exists() and time.monotonic() < end:
        time.sleep(0.005)
    return "held"


@pytest.fixture(scope="module")
def vandal_app(run_folder):
    """One worker for all of these, which has to live through all of them."""
    from nbtasks import App

    with App("vandals", namespace="vandals") as app:
        app.start_workers(2, lease="1s")
        yield app


def check(app: App, client: redis.Redis, folder, vandalise: Callable[[Scene], Any], eventually) -> None:
    """Vandalise while calls run and wait; then everything else must go on."""
    gate = folder / "gate"
    try:
        _check(app, client, gate, vandalise, eventually)
    finally:
        gate.touch()


def _check(app: App, client: redis.Redis, gate, vandalise: Callable[[Scene], Any], eventually) -> None:
    running = app.task(hold).map([str(gate)] * 4, chunk=2)
    waiting = app.task(abs).map(range(50), chunk=5)
    later = app.task(abs).apply_async((-1,), countdown=0.3)
    app.session.flush()
    eventually(lambda: "STARTED" in {one.state for one in running}, "a call runs")
    vandalise(Scene(client, app, running, waiting, later))
    gate.touch()
    another = app.task(abs).map(range(20), chunk=4)
    single = app.task(abs).apply_async((-7,), countdown=0.2)
    assert another.get(timeout=SOON) == list(range(20))
    assert single.get(timeout=SOON) == 7
    assert app.task(len).delay("abc").get(timeout=SOON) == 3
    assert eventually(lambda: [one for one in app.workers() if one.matches], "the worker is shown")
    for worker in app.workers():
        assert worker.name.isprintable()
        assert worker.host.isprintable()
    with App(connection=app.connection) as other:
        assert other.attach(another.id)[0].get(timeout=SOON) == list(range(20))
        assert other.attach(last=3)
    for group in (running, waiting):
        # What was vandalised may be lost with what was in there; not more than that.
        with contextlib.suppress(NbtasksError):
            group.revoke(terminate=True)


def check_newcomer(app: App) -> None:
    """A worker that comes now starts and works."""
    with App(connection=app.connection) as other:
        other.start_workers(1, queues=["default", "aside"], lease="1s")
        assert other.task(len).apply_async(("ab",), queue="aside").get(timeout=SOON) == 2


@pytest.mark.parametrize("name", SHORT)
def test_a_vandal(vandal_app, raw_module, tmp_path, eventually, name):
    check(vandal_app, raw_module, tmp_path, ALL[name], eventually)
    if name in {"lane is a string", "last lane id"}:
        check_newcomer(vandal_app)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_every_vandal(vandal_app, raw_module, tmp_path, eventually):
    failed = {}
    for number, (name, vandalise) in enumerate(ALL.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            check(vandal_app, raw_module, folder, vandalise, eventually)
            if number % 40 == 0:
                check_newcomer(vandal_app)
        except (NbtasksError, redis.RedisError, AssertionError, pytest.fail.Exception) as error:
            print(name, repr(error)[:300], flush=True)
            failed[name] = error
    assert not failed


@pytest.fixture(scope="module")
def raw_module(vandal_app):
    """Somebody who can write everything, and has no key."""
    client = redis.Redis.from_url(vandal_app.connection.url, single_connection_client=True)
    yield client
    client.close()
