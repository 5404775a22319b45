"""A property that is computed once, and takes no lock along into a forked process."""

from __future__ import annotations

import threading

from nbtasks.core.madeonce import made_once


class Parcel:
    def __init__(self, made):
        self.made = made

    @made_once
    def weight(self):
        """What it weighs."""
        return self.made()


def test_it_is_computed_when_it_is_first_asked_for_and_kept():
    calls = []
    parcel = Parcel(lambda: calls.append(1) or len(calls))
    assert calls == []
    assert (parcel.weight, parcel.weight, calls) == (1, 1, [1])
    assert Parcel.weight.__doc__ == "What it weighs."


def test_a_thread_that_computes_it_holds_nobody_up():
    begun, go_on = threading.Event(), threading.Event()
    slow = Parcel(lambda: begun.set() or go_on.wait(60))
    thread = threading.Thread(target=lambda: slow.weight)
    thread.start()
    assert begun.wait(60)
    # As in a process that is forked off now, where nobody would ever go on.
    assert Parcel(lambda: 3).weight == 3
    go_on.set()
    thread.join(60)
    assert slow.weight is True
