"""Fixtures for tests of code that uses tasks. pytest finds them by itself where nbtasks is installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from nbtasks.client.app import App


@pytest.fixture
def nbtasks_eager() -> Iterator[None]:
    """Every App runs its calls where they are submitted, without a broker; a failure raises at ``get()``."""
    from nbtasks.client import current

    with current.everything_eager():
        yield


@pytest.fixture(scope="session")
def nbtasks_worker(tmp_path_factory: Any) -> Iterator[App]:
    """An App with a server and a worker of this run's own. It is the current one: tasks of no App go through it."""
    from nbtasks.client.app import App

    with pytest.MonkeyPatch.context() as patch:
        for name in ("NBTASKS_BROKER", "NBTASKS_CONNECTION_FILE", "NBTASKS_CONFIG_MODULE"):
            patch.delenv(name, raising=False)
        # A socket's path may have 104 bytes, so the state folder is not below pytest's own.
        with App("pytest", namespace=f"pytest-{tmp_path_factory.getbasetemp().name}") as app:
            app.start_workers(1)
            yield app
