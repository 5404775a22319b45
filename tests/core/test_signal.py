"""Signals by themselves: who is told, for how long, and what is refused."""

from __future__ import annotations

import gc
import logging
import types
import warnings

import pytest

from nbtasks import ConfigError, signals
from nbtasks.signals import Signal, eventlet_pool_started, task_prerun, worker_process_init


@pytest.fixture
def signal():
    return Signal("something", ("value",), "submit")


def test_it_is_connected_in_all_ways_of_celery(signal):
    said = []

    @signal.connect
    def bare(value, **kwargs):
        said.append(("bare", value))

    @signal.connect(sender="x")
    def of_x(sender, **kwargs):
        said.append(("of x", sender))

    def plain(signal, sender, **kwargs):
        said.append(("plain", signal.name))

    assert signal.connect(plain, weak=False) is plain
    assert signal.send("x", value=1) == [(bare, None), (of_x, None), (plain, None)]
    assert signal.send("y", value=2) == [(bare, None), (plain, None)]
    assert said == [
        ("bare", 1), ("of x", "x"), ("plain", "something"), ("bare", 2), ("plain", "something"),
    ]  # fmt: skip
    assert signal.disconnect(bare)
    assert not signal.disconnect(bare)
    assert not signal.disconnect(of_x)
    assert signal.disconnect(of_x, sender="x")
    assert signal.has_listeners()
    assert signal.disconnect(plain)
    assert not signal.has_listeners()


def test_a_sender_is_a_task_or_its_name(signal):
    task = types.SimpleNamespace(name="pack.fetch")
    said = []

    @signal.connect(sender=task)
    def of_the_task(**kwargs):
        said.append("task")

    signal.send("pack.fetch")
    signal.send(types.SimpleNamespace(name="pack.fetch"))
    signal.send("other")
    signal.send(object())
    assert said == ["task", "task"]


def test_who_is_gone_is_told_no_more(signal):
    class Onlooker:
        def told(self, **kwargs):
            raise AssertionError

    onlooker = Onlooker()
    signal.connect(onlooker.told)
    assert signal.has_listeners()
    del onlooker
    gc.collect()
    assert not signal.has_listeners()
    signal.connect(Onlooker().told, weak=False)
    gc.collect()
    assert signal.has_listeners()


def test_the_same_again_takes_the_place_of_the_first(signal):
    said = []
    for number in range(3):

        def receiver(number=number, **kwargs):
            said.append(number)

        signal.connect(receiver, weak=False, dispatch_uid="one")
    signal.send()
    assert said == [2]
    assert signal.disconnect(dispatch_uid="one")


def test_what_a_receiver_raises_is_logged_once_and_returned(signal, caplog):
    def broken(**kwargs):
        raise ValueError("no")

    def fine(**kwargs):
        return "fine"

    signal.connect(broken)
    signal.connect(fine)
    with caplog.at_level(logging.ERROR, "nbtasks.signals"):
        for _ in range(3):
            (_, error), (_, answer) = signal.send()
            assert isinstance(error, ValueError)
            assert answer == "fine"
    (record,) = caplog.records
    assert "signal something" in record.getMessage()
    assert "broken" in record.getMessage()


@pytest.mark.parametrize(
    ("receiver", "said"),
    [
        (lambda sender: None, r"must take \*\*kwargs, because it is called as \(signal=, sender=, value=\)"),
        (lambda *args: None, r"must take \*\*kwargs"),
        (3, "int cannot be called"),
        ("module.name", "str cannot be called"),
    ],
)
def test_a_wrong_receiver_is_refused_where_it_is_connected(signal, receiver, said):
    with pytest.raises(ConfigError, match=said):
        signal.connect(receiver)
    assert not signal.has_listeners()


def test_a_receiver_that_workers_will_never_have_is_warned_of():
    def receiver(**kwargs):
        pass

    receiver.__module__ = "__main__"
    for signal in (task_prerun, worker_process_init):
        with pytest.warns(UserWarning, match=r"sent in worker processes.*include="):
            signal.connect(receiver)
        assert signal.disconnect(receiver)


def test_a_signal_that_never_comes_says_so():
    def receiver(**kwargs):
        pass

    with pytest.warns(UserWarning, match="never comes in nbtasks: there are no green threads"):
        eventlet_pool_started.connect(receiver)
    assert eventlet_pool_started.disconnect(receiver)


def test_a_module_that_both_sides_import_is_not_warned_of():
    def receiver(**kwargs):
        pass

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task_prerun.connect(receiver)
    assert task_prerun.disconnect(receiver)


def test_a_coroutine_function_is_refused():
    async def receiver(**kwargs):
        pass

    with pytest.raises(
        ConfigError, match=r"receiver is a coroutine function, and nobody awaits .* write it with def"
    ):
        task_prerun.connect(receiver)
    assert not task_prerun.disconnect(receiver)


def test_a_misspelt_signal_names_the_nearest():
    with pytest.raises(
        AttributeError, match=r"there is no signal 'task_prerunn'; did you mean 'task_prerun'\?"
    ):
        _ = signals.task_prerunn
    with pytest.raises(ImportError):
        from nbtasks.signals import task_done  # noqa: F401
