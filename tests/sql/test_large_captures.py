"""A function that captures more than one statement may bring comes to the workers, and holds up no other one."""

from __future__ import annotations

import os

import pytest

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]


@pytest.mark.parametrize("url", ["mariadb_url", "postgres_url", "sqlite_url"])
def test_of_a_map_and_of_a_neighbour(request, url, new_app):
    app = new_app(request.getfixturevalue(url))
    captured = os.urandom(20_000_000)

    @app.task
    def byte_at(place):
        return captured[place]

    @app.task
    def add(x, y):
        return x + y

    app.start_workers(1)
    with pytest.warns(UserWarning, match="captures 19"):
        handle = byte_at.map(range(50))
    assert add.delay(1, 2).get(timeout=120) == 3
    assert handle.get(timeout=120) == list(captured[:50])
