"""A SQLite file, or a MariaDB, as a broker."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nbtasks.broker.legs import open_leg
from nbtasks.broker.verbs.brokerline import BrokerLine
from tests.broker.contract.servers import Place

KEY = "A" * 43


@pytest.fixture(autouse=True)
def keyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give all of them one key."""
    monkeypatch.setenv("NBTASKS_KEY", KEY)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """One of a file that is still to be made."""
    return f"sqlite:///{tmp_path}/broker.db"


@pytest.fixture
def new_line() -> Iterator[Callable[..., BrokerLine]]:
    """``new_line(url)`` returns a line that ends with the test."""
    lines: list[BrokerLine] = []

    def make(url: str, namespace: str = "tests") -> BrokerLine:
        lines.append(open_leg(Place(url, namespace)).line())
        return lines[-1]

    yield make
    for line in lines:
        line.close()


@pytest.fixture
def new_app(home: Any) -> Iterator[Callable[..., Any]]:
    """``new_app(url)`` returns an App over that broker that is closed with the test."""
    from nbtasks import App

    apps: list[Any] = []

    def make(url: str, **options: Any) -> Any:
        apps.append(App("sql", broker=url, namespace=f"t{secrets.token_hex(4)}", **options))
        return apps[-1]

    yield make
    for app in apps:
        app.close()
