"""A broker that cannot do all is refused before anything is submitted, by the name of what it lacks."""

from __future__ import annotations

import pytest

from nbtasks import App, ConfigError
from nbtasks.broker.redis.redisleg import RedisLeg


@pytest.fixture
def lacking(monkeypatch) -> None:
    """A leg says so of itself."""
    monkeypatch.setattr(
        RedisLeg, "lacks", {"a store": "name one as backend=", "rate limits": "use max_parallel"}
    )


@pytest.mark.usefixtures("lacking")
@pytest.mark.parametrize(
    "asked", [lambda app: app.task(len).delay("ab"), App.check, App.workers], ids=["call", "check", "workers"]
)
def test_it_is_refused_by_name(server, asked):
    with App(broker=server().url) as app, pytest.raises(ConfigError) as caught:
        asked(app)
    said = str(caught.value)
    assert "lacks a store (name one as backend=); rate limits (use max_parallel)" in said
