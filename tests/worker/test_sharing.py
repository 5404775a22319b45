"""How the calls of a map come to all children: also those that do next to nothing are work."""

from __future__ import annotations

import os

from nbtasks import task


@task
def who(n):
    return os.getpid()


def test_calls_that_take_no_time_are_shared_by_all_children(shared_app):
    # Then their run time is known, which is next to nothing.
    who.map(range(200)).get()
    assert len(set(who.map(range(20_000)).get())) == 2
