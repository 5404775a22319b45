"""Replies as they come over a socket: whole, in pieces, and strings right into a buffer."""

from __future__ import annotations

import re
import select
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis
from redis.exceptions import ConnectionError, ResponseError

from nbtasks import ConfigError
from nbtasks.broker.redis.channel import Channel
from nbtasks.broker.redis.inside import ALLOWED, TRIED


@pytest.fixture
def wire():
    """A channel, and ``say(*parts)``, which sends what its server says, part by part."""
    ours, theirs = socket.socketpair()
    parser = SimpleNamespace(parse_error=ResponseError)
    channel = Channel(SimpleNamespace(_sock=ours, _parser=parser, disconnect=ours.close))

    def say(*parts):
        def send():
            for part in parts:
                theirs.sendall(part)
                # A next part that is sent before this one was taken comes along with it.
                while select.select([ours], [], [], 0)[0] and part:
                    time.sleep(0.0005)

        thread = threading.Thread(target=send)
        thread.start()
        threads.append(thread)

    threads: list[threading.Thread] = []
    yield SimpleNamespace(channel=channel, say=say, send=theirs.sendall, close=theirs.close)
    for thread in threads:
        thread.join()
    ours.close()
    theirs.close()


@pytest.mark.parametrize("size", [0, 1, 100, 65_536, 1_000_003])
def test_a_string_goes_into_the_buffer(wire, size):
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    target = bytearray(size + 5)
    wire.say(b"$%d\r\n" % size, data, b"\r\n")
    assert wire.channel.read_into(memoryview(target)) == size
    assert bytes(target[:size]) == data
    wire.say(b"+PONG\r\n")
    assert wire.channel.read() == b"PONG"


@pytest.mark.parametrize("cut", range(1, 14))
def test_a_string_that_comes_in_pieces(wire, cut):
    reply = b"$6\r\nabcdef\r\n"
    target = bytearray(6)
    wire.say(reply[:cut], reply[cut:])
    assert wire.channel.read_into(memoryview(target)) == 6
    assert bytes(target) == b"abcdef"
    wire.say(b":7\r\n")
    assert wire.channel.read() == 7


def test_what_is_no_string_is_returned(wire):
    target = memoryview(bytearray(3))
    wire.say(b"$-1\r\n")
    assert wire.channel.read_into(target) is None
    wire.say(b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n")
    assert isinstance(wire.channel.read_into(target), ResponseError)
    wire.say(b":12\r\n")
    assert wire.channel.read_into(target) == 12


def test_a_string_that_does_not_fit_is_returned_as_such(wire):
    target = bytearray(3)
    wire.say(b"$5\r\nabcde\r\n")
    assert wire.channel.read_into(memoryview(target)) == b"abcde"
    assert bytes(target) == bytes(3)


@pytest.mark.parametrize("reply", [b"", b"$5", b"$5\r\n", b"$5\r\nabc", b"$5\r\nabcde"])
def test_a_connection_that_ends_in_between(wire, reply):
    wire.send(reply)
    wire.close()
    with pytest.raises(ConnectionError):
        wire.channel.read_into(memoryview(bytearray(10)))


@pytest.mark.parametrize("after_s", [0.0, 0.02])
def test_who_waits_eagerly_hears_what_comes_at_once_and_what_comes_late(wire, after_s):
    channel = wire.channel
    for _ in range(3):
        timer = threading.Timer(after_s, wire.send, [b"+PONG\r\n"])
        timer.start()
        assert channel.has_come(30.0, eager=True)
        assert channel.read() == b"PONG"
        timer.join()
    assert not channel.has_come(0.01, eager=True)
    assert not channel.has_come(0.0, eager=True)


@pytest.mark.parametrize("without", ["_sock", "_parser", "parse_error"])
def test_a_redis_py_that_has_changed_inside_is_named(without):
    parser = SimpleNamespace(**{"parse_error": ResponseError} if without != "parse_error" else {})
    parts = {"_sock": None, "_parser": parser}
    parts.pop(without, None)
    with pytest.raises(ConfigError) as caught:
        Channel(SimpleNamespace(**parts))
    version = re.escape(redis.__version__)
    assert re.match(rf"nbtasks cannot use redis-py {version}, .*'{without}'", str(caught.value))
    assert f"pip install 'redis{ALLOWED}', of which {TRIED} is known to work" in str(caught.value)


def test_what_the_message_allows_is_what_is_required():
    project = Path(__file__).parents[2] / "pyproject.toml"
    assert f'"redis[hiredis]{ALLOWED}"' in project.read_text(encoding="utf-8")
