"""Every parser of what comes from the server, or from another process, is given anything: it says no in our words.

And it takes no more than ten times the memory of what it was given.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbtasks import App, NbtasksError
from nbtasks.broker.pulse import Pulse
from nbtasks.broker.redis import untrusted
from nbtasks.broker.redis.keys import Keys
from nbtasks.broker.redis.redisentry import order_of, parse_entry
from nbtasks.broker.redis.redisordering import _heard
from nbtasks.broker.redis.redissessionnews import _event
from nbtasks.broker.redis.redisstore import _moment, _noted
from nbtasks.broker.servertime import Reading
from nbtasks.broker.verbs.eventlog import EventEntry
from nbtasks.client.engines.brokered.happened.unfolding import Unfolding
from nbtasks.client.engines.brokered.receiving.intake import _ranges
from nbtasks.core.address import Address
from nbtasks.core.callheader import CallHeader
from nbtasks.core.events import Started
from nbtasks.core.happenings import Happenings
from nbtasks.core.ids import split_call_id
from nbtasks.core.label import BatchLabel
from nbtasks.core.orders import Order, StopCalls
from nbtasks.core.plaintext import on_one_line
from nbtasks.core.workersheet import WorkerSheet
from nbtasks.local.connection import Connection, check_url, read_connection_file
from nbtasks.local.server.keeper.layout import KEEPER_SOCKET
from nbtasks.local.server.keeper.tlsproxy import (
    MOST_WORD_BYTES,
    MOST_WORDS,
    _Rejected,
    read_command,
    split_login,
)
from nbtasks.wire.batchnews import BatchNews
from nbtasks.wire.chunk import Chunk
from nbtasks.wire.codec import Codec
from nbtasks.wire.frames import Sealer
from nbtasks.wire.record import Record
from nbtasks.wire.signing import Keyring, decode_key
from nbtasks.worker.log import as_text

#: What every parser may take in any case: some import a module at their first input.
ROOM_BYTES = 2**20
BATCH = "019e9a3b6c1f00a1b2c3"

numbers = st.sampled_from(
    [
        b"0", b"1", b"7", b"1e3", b"0x10", b"nan", b"inf", b"-5", b"1.5", b" 7 ", b"1_000", b"50000000", b"",
        b"4294967297", b"9007199254740993", b"9223372036854775808", b"9" * 5000, "٣".encode(), b"\xff\x00", b"+1",
    ]
)  # fmt: skip
texts = st.one_of(numbers, st.binary(max_size=2000), st.just(BATCH.encode()))
names = st.sampled_from([b"k", b"b", b"i", b"n", b"a", b"w", b"x", b"d", b"r", b"e", b"c"])
#: Fields as an entry has them, some of them as they should be.
fields = st.one_of(
    st.lists(texts, max_size=20),
    st.tuples(*[st.one_of(names, texts) for _ in range(12)]).map(list),
    st.tuples(texts, numbers, numbers, numbers, texts, texts).map(
        lambda found: [
            part for name, value in zip(b"binaxd", found, strict=True) for part in (bytes([name]), value)
        ]
    ),
)
json_values: Any = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=50)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=10), inner, max_size=5)
    ),
    max_leaves=20,
)
INFO = {
    "id": "h-1-a", "name": "h-1", "host": "h", "pid": 1, "python": "3.11.7", "key_id": "abcdef01", "queues": ["q"],
    "pool": "prefork", "concurrency": 1, "slots_busy": 0, "slots_total": 1, "slots_waiting": 0, "rss_bytes": 1,
    "started_at": 1.0, "seen_at": 2.0, "processed": 0, "running": [[BATCH, 0, 1.0]], "packages": {"numpy": "2.0"},
    "children": [[5, 6, [[BATCH, 0, 1.0]]]],
}  # fmt: skip
infos = st.one_of(
    st.text(max_size=3000),
    json_values.map(json.dumps),
    st.tuples(st.sampled_from(sorted(INFO)), json_values).map(
        lambda change: json.dumps({**INFO, change[0]: change[1]})
    ),
    st.sampled_from(["[" * 20_000, '{"a":' * 4_000, "[" * 10_000 + "]" * 10_000, "1" * 20_000]),
)


def few(examples: int) -> Any:
    """So many examples now, and fifty times as many in a long run."""
    more = 50 if os.environ.get("NBTASKS_FUZZ") else 1
    return settings(
        max_examples=examples * more,
        deadline=None,
        # What everybody runs is the same everywhere; chance belongs to the long runs.
        derandomize=more == 1,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def within_memory(size: int, parse: Callable[[], Any], *ours: type[Exception]) -> Any:
    """Parse; no error but these and ours may come, and not more than ten times the size may be taken."""
    peak, most = 0, 10 * size + ROOM_BYTES
    for _ in range(3):
        value, peak = measured(parse, *ours)
        if peak <= most:
            return value
        # What other threads of this process take at that moment counts as well.
    pytest.fail(f"{peak:,} bytes for {size:,}")


def measured(parse: Callable[[], Any], *ours: type[Exception]) -> tuple[Any, int]:
    """Parse; return the value, None after an error of these or of ours, and the bytes that it has taken."""
    tracemalloc.start()
    try:
        with contextlib.suppress(NbtasksError, *ours):
            return parse(), tracemalloc.get_traced_memory()[1]
        return None, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def size_of(parts: Any) -> int:
    """Bytes of a list of fields."""
    return sum(map(len, parts))


@few(80)
@given(fields)
def test_entries(found):
    def parse():
        entry = parse_entry(Address("q", "3.11", "abcdef01"), "m", b"1-1", found, False)
        assert 0 <= entry.first <= entry.first + entry.count < 2**31
        assert entry.count * 4 <= len(entry.frame)
        assert 0 <= entry.attempt < 2**31

    # What has these is dropped by its reader.
    within_memory(size_of(found), parse, ValueError, IndexError)


@few(80)
@given(fields)
def test_events(found):
    event = within_memory(size_of(found), lambda: _event(b"1-1", found))
    within_memory(size_of(found), lambda: _ranges(event))


def test_an_event_that_lists_a_million_parts():
    found = [b"k", b"r", b"b", BATCH.encode(), b"i", b"0", b"n", b"9", b"w", b"1+1 " * 1_000_000, b"d", b"x"]
    event = within_memory(size_of(found), lambda: _event(b"1-1", found))
    within_memory(size_of(found), lambda: _ranges(event))


@few(40)
@given(fields)
def test_control_entries(found):
    within_memory(size_of(found), lambda: _heard(b"1-1", found))


@few(80)
@given(st.lists(texts, max_size=20), numbers, numbers)
def test_what_is_read_from_keys(found, one, other):
    def parse():
        untrusted.names(found)
        untrusted.addresses(found)
        untrusted.part(one + b" " + other, 0, 10)
        untrusted.number_or(one, 0)
        untrusted.is_own_id(one + b"-" + other)
        _noted(found, 0, 10)
        _moment(one, BATCH)
        order_of(one + b"-" + other)
        Pulse(one + b" " + other, 0.0).lease_s(15.0)
        assert abs(Reading(0.0, one, 0.0, 0.0, 0.0).even_at) < 10**12
        for name in found:
            Keys.blob_name(name.decode(errors="replace"))
            with contextlib.suppress(ValueError):
                Address.parse(name.decode(errors="replace"))

    within_memory(size_of(found) + len(one) + len(other), parse)


@pytest.mark.long
@few(80)
@given(infos)
def test_what_workers_show_of_themselves(text):
    info = within_memory(len(text), lambda: WorkerSheet.from_wire(text))
    if info is not None:
        assert info.name.isprintable()
        assert 0 <= info.slots_total <= 100_000


def test_a_description_of_100_000_levels():
    for text in ("[" * 100_000, '{"a":' * 100_000, "[" * 50_000 + "]" * 50_000):
        assert within_memory(len(text), lambda text=text: WorkerSheet.from_wire(text)) is None


HEADER = CallHeader("work", overrides={"time_limit": 1.0})


def frames(codec: Codec) -> dict[str, bytes]:
    """One frame of each kind."""
    return {
        "chunk": codec.seal_chunk(Chunk(BATCH, "f" * 64, 0, [b"a", b"bb"], HEADER, None, "q@3.11.k")),
        "record": codec.seal_record(Record(BATCH, 0, b"\x04\x05", [0.1, 0.2], [b"x", b"y"])),
        "events": codec.seal_events(BatchNews(BATCH, "w", "r", 1, [Started(0)])),
        "label": codec.seal_label(BATCH, 2, 5, BatchLabel(name="x").standing),
        "happenings": codec.seal_happenings(Happenings("w", "r", 1, 1.0, [["w", "worker-online", {}]])),
        "control": codec.seal_order(Order(StopCalls(BATCH), "s", 1, 1.0)),
        "function": codec.seal_function(len, None).frame,
    }


@few(80)
@given(st.data())
def test_frames(data):
    codec = Codec(Sealer(Keyring([b"k" * 32]), "test"))
    kind, frame = data.draw(st.sampled_from(sorted(frames(codec).items())))
    start = data.draw(st.integers(0, len(frame)))
    end = data.draw(st.integers(start, len(frame)))
    changed = data.draw(
        st.one_of(
            st.binary(max_size=500),
            st.binary(max_size=20).map(lambda new: frame[:start] + new + frame[end:]),
            st.just(frame),
        )
    )
    for opened in (
        lambda: codec.open_chunk(changed, BATCH, "q@3.11.k"), lambda: codec.open_record(changed, BATCH),
        lambda: codec.open_events(changed, BATCH), lambda: codec.open_label(changed, BATCH),
        lambda: codec.open_order(changed), lambda: codec.belongs(changed),
        lambda: codec.open_happenings(changed),
        lambda: codec.open_function(changed, "0" * 64),
    ):  # fmt: skip
        within_memory(len(changed), opened)
    assert kind


ENDS = ["e", BATCH, "t", "q", 1, "", 0, 1, 4, 1, -1, [0], [5], []]
TELLS = ["c", BATCH, "t", "q", 1, "", 1, 0, 0, {"t": "started", "i": 0, "s": 0.1, "a": 1}]


@few(150)
@given(st.data())
def test_notes_of_events(data):
    """Signed by somebody who has the key: an older version, a newer one, or none of ours."""
    codec = Codec(Sealer(Keyring([b"k" * 32]), "test"))
    row = list(data.draw(st.sampled_from([ENDS, TELLS, ["w", "worker-online", {}]])))
    row[data.draw(st.integers(0, len(row) - 1))] = data.draw(st.one_of(json_values, st.just(10**400)))
    told = Happenings("w", "r", 1, 1.0, [row, ENDS, TELLS], clock=5)
    entry = EventEntry(1.0, ((b"h", codec.seal_happenings(told)),))
    reader = Unfolding(codec, Keyring([b"k" * 32]).ids, lambda _: None)
    events = list(reader.events(entry))
    assert reader.refused == (0 if events else 1)
    assert all(json.dumps(event.to_dict()) for event in events)


def test_what_nobody_signs_does_not_multiply_events():
    codec = Codec(Sealer(Keyring([b"k" * 32]), "test"))
    rows = [["e", BATCH, "t", "q", 1, "", 10 * place, 10, 4, 1, -1, [0], [5], []] for place in range(1000)]
    note = codec.seal_happenings(Happenings("w", "r", 1, 1.0, rows, clock=5))
    for new, count in (
        (b"0+5 0+5 3+4 2+1 " * 10_000, 7), (b"0+10000 " * 20_000, 10_000), (b"1+1 3+1 5+2147483647 5+0", 9_997),
        (b"0+5 " * 100_000, 0),
    ):  # fmt: skip
        reader = Unfolding(codec, Keyring([b"k" * 32]).ids, lambda _: None)
        events = reader.events(EventEntry(1.0, ((b"h", note), (b"w", new))))
        assert sum(event.count for event in events if event.type == "task-succeeded") == count
        assert reader.refused == (0 if count else 1)


@few(50)
@given(st.one_of(
    st.binary(max_size=500),
    json_values.map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries(
        {"url": json_values, "keys": json_values}, optional={"namespace": json_values, "source": json_values}
    ).map(lambda value: json.dumps(value).encode()),
    st.sampled_from([b"[" * 20_000, b'{"a":' * 4_000, b'{"url":"redis://h/0","keys":["\\ud800"]}']),
))  # fmt: skip
def test_connection_files(text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "connection.json")
        path.touch(mode=0o600)
        path.write_bytes(text)
        within_memory(len(text), lambda: read_connection_file(path))


@few(50)
@given(json_values)
def test_settings_of_a_worker(value):
    if isinstance(value, dict):
        within_memory(len(json.dumps(value)), lambda: Connection.from_json(value))


@few(80)
@given(st.one_of(st.text(max_size=200), st.text(max_size=50).map(lambda text: f"redis://{text}")))
def test_lines_of_invitations(text):
    for parse in (check_url, decode_key, split_call_id):
        within_memory(len(text), lambda parse=parse: parse(text))


@few(50)
@given(st.one_of(
    st.binary(max_size=300),
    st.lists(st.binary(max_size=20), max_size=8).map(
        lambda words: b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
    ),
    st.sampled_from([b"*999999999\r\n", b"*1\r\n$999999999\r\n", b"*-1\r\n", b"*1\r\n$-1\r\n", b"x" * 20_000]),
))  # fmt: skip
def test_first_words_to_the_listener(data):
    async def hear():
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        words = await read_command(reader)
        assert len(words) <= MOST_WORDS
        assert all(len(word) <= MOST_WORD_BYTES for word in words)
        split_login(words)

    # What the listener takes for the end of a connection, see Proxy.serve.
    within_memory(
        len(data),
        lambda: asyncio.run(hear()),
        _Rejected,
        asyncio.IncompleteReadError,
        asyncio.LimitOverrunError,
    )


def test_the_keeper_hears_nonsense(home):
    """Whatever another process of the user says to it, the server stays."""
    with App("fuzz") as app:
        app.session.flush()
        path = Path(app.connection.url.removeprefix("unix://").partition("?")[0]).parent / KEEPER_SOCKET
        for line in (
            b"", b"\xff\x00\n", b"hello" * 2000, b"listen\n", b"listen \xff \xfe\n", b"listen a b c\n",
            b"listen \x00 99999999\n", b"deaf \xff\n", b"bye\n" * 1000, b"x" * 100_000,
        ):  # fmt: skip
            with socket.socket(socket.AF_UNIX) as user, contextlib.suppress(BrokenPipeError, ConnectionError):
                user.connect(str(path))
                user.sendall(line)
        app.start_workers(1)
        assert app.task(len).delay("abc").get(timeout=20) == 3


@few(80)
@given(st.text(max_size=1000))
def test_text_stays_text(text):
    line = within_memory(4 * len(text), lambda: on_one_line(text))
    assert line.isprintable()
    logged = within_memory(4 * len(text), lambda: as_text(text))
    assert "\x1b" not in logged
    assert all(part.startswith("    ") for part in logged.split("\n")[1:])


@pytest.mark.long
def test_all_of_it_with_many_more_examples(tmp_path):
    import subprocess
    import sys

    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not long", __file__]
    found = subprocess.run(
        command, env={**os.environ, "NBTASKS_FUZZ": "1"}, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout[-5000:]
