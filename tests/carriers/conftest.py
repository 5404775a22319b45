"""A ledger of the test's own, and Apps over a carrier before it."""

from __future__ import annotations

import contextlib
import secrets

import pytest

from nbtasks import App
from tests.chaos import servers

KEY = "A" * 43


@pytest.fixture
def ledger(run_folder):
    """What keeps calls and results."""
    with servers.running("bundled", run_folder) as server:
        yield server


@pytest.fixture
def new_app(home, ledger):
    """``new_app(url)`` returns an App over a carrier."""
    with contextlib.ExitStack() as apps:

        def make(url, **options):
            options = {"backend": ledger.url, "namespace": f"t{secrets.token_hex(4)}", "key": KEY, **options}
            return apps.enter_context(contextlib.closing(App("carried", broker=url, **options)))

        yield make
