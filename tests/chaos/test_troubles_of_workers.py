"""What keeps a worker from telling how calls have ended is said once in its log, and to whoever waits for them."""

from __future__ import annotations

import os

import pytest

from nbtasks import App

from .smalldisk import small_disk

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]


def test_a_result_that_the_disk_has_no_room_for(request, home, tmp_path, eventually):
    folder = tmp_path / "disk"
    folder.mkdir(exist_ok=True)
    disk = small_disk(request, folder, 30)
    if disk is None:
        return
    with App("troubles", broker=f"sqlite:///{disk}/broker.db") as app:

        @app.task
        def large(size):
            return os.urandom(size)

        app.start_workers(1)
        assert len(large.delay(1).get(timeout=60)) == 1
        call = large.delay(60_000_000)
        reason = eventually(
            lambda: (call.why_pending() or "") if "cannot tell" in (call.why_pending() or "") else None,
            "why_pending() says what its worker says",
        )
        assert "has no room" in reason
        assert "make room" in reason
        said = app.local_workers.log_tail()
        assert said.count("no room") == 1, said
        call.revoke(terminate=True)
