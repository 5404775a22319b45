"""``backend=`` of an App: the broker's own server, or one sentence with the next step."""

from __future__ import annotations

import pytest

from nbtasks import App, ConfigError

SOON = 60.0


@pytest.mark.parametrize(
    ("broker", "backend"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://host", "redis://host:6379/1"),
        ("redis://:secret@HOST/0", "redis://other:s@host/0"),
        ("redis://localhost", "redis://127.0.0.1:6379"),
        ("redis://[::1]:6379", "redis://localhost"),
        ("rediss://host:6380/0?ssl_cert_reqs=CERT_REQUIRED", "rediss://host:6380/1?ssl_cert_reqs=CERT_NONE"),
        ("unix:///run/s", "unix:///run/s?db=2"),
        ("redis://host", "rpc://"),
        (None, "rpc://"),
    ],
)
def test_the_brokers_own_server_is_accepted(home, broker, backend):
    App(broker=broker, backend=backend).close()


@pytest.mark.parametrize(
    ("broker", "backend"),
    [
        ("redis://host", "redis://elsewhere"),
        ("redis://host", "redis://host:6380"),
        ("redis://host", "unix:///run/s"),
        ("redis://host", "db+postgresql://user:s3cr3t@host/db"),
        ("redis://host", "mongodb://user:s3cr3t@host"),
        ("redis://host", "cache+memcached://host"),
        ("redis://host", "file:///tmp/s3cr3t"),
        ("redis://:s3cr3t@host", "redis://:s3cr3t@elsewhere"),
        ("redis://host", "s3cr3t"),
        ("redis://host", ""),
        ("redis://host", 5),
        (None, "redis://host"),
    ],
)
def test_any_other_is_refused_in_one_sentence_with_the_next_step(home, broker, backend):
    with pytest.raises(ConfigError, match=r"^backend: .*leave backend out") as caught:
        App(broker=broker, backend=backend)
    assert "s3cr3t" not in str(caught.value)


def test_it_is_compared_with_the_broker_that_the_environment_names(home, monkeypatch):
    monkeypatch.setenv("NBTASKS_BROKER", "redis://host/0")
    App(backend="redis://host/1").close()
    with pytest.raises(ConfigError, match="leave backend out"):
        App(backend="redis://elsewhere/1")


def test_options_of_a_backend_are_checked_too(home):
    with pytest.raises(ConfigError, match=r"backend: .*socket_timeout"):
        App(broker="redis://host", backend="redis://host?socket_timeout=1")
