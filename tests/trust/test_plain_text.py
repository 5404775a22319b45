"""What somebody without the key has written is shown as text: it gives a terminal no order, and forges no line."""

from __future__ import annotations

import json

import pytest

ORDERS = "\x1b[2J\x1b]0;owned\x07\r\n[2026-01-01 00:00:00,000: ERROR/MainProcess] forged\u202e"


def is_plain(text: str) -> bool:
    """Whether nothing in it moves a cursor or begins a line that is not ours."""
    lines = text.split("\n")
    return all(line.isprintable() and not line.startswith("[2026-01-01") for line in lines)


def test_the_log(shared_app, attack, eventually):
    attacker = attack(shared_app)
    attacker.redis.xadd(attacker.keys.control, {"k": "odd", "d": ORDERS})
    attacker.redis.xadd(attacker.keys.control, {"k": "c", "d": ORDERS})
    for field in ("b", "i", "n", "a", "x", "d"):
        entry = {"b": "0" * 20, "i": 0, "n": 1, "a": 1, "x": "", "d": "NB2C" + "x" * 500}
        attacker.redis.xadd(attacker.lane(), entry | {field: ORDERS})
    log = eventually(
        lambda: "forged" in (text := shared_app.local_workers.log_tail(200)) and "refused" in text and text,
        "it is told",
    )
    assert is_plain(log)


def test_what_a_task_prints_and_is_named(shared_app, eventually):
    def loud():
        raise ValueError(ORDERS)

    loud.__name__ = ORDERS
    with pytest.raises(ValueError, match="forged"):
        shared_app.task(loud).delay().get(timeout=20)
    assert is_plain(shared_app.local_workers.log_tail(200))


def test_the_list_of_workers(shared_app, attack, eventually):
    from nbtasks.jupyter.panel.workerslist import workers_panel

    attacker = attack(shared_app)
    mine = eventually(lambda: shared_app.workers()[0], "it is shown")
    shown = json.loads(attacker.redis.get(attacker.keys.worker_info(mine.id)))
    forged = {**shown, "id": "evil-1-0", "name": ORDERS, "host": ORDERS, "python": ORDERS, "pool": ORDERS}
    forged |= {
        "queues": [ORDERS],
        "packages": {"numpy": ORDERS, ORDERS: ORDERS},
        "key_ids": [ORDERS],
        "place": ORDERS,
    }
    attacker.redis.set(attacker.keys.worker_info("evil-1-0"), json.dumps(forged), ex=60)
    attacker.redis.zadd(attacker.keys.workers, {"evil-1-0": attacker.redis.time()[0] * 1000})
    found = eventually(lambda: [one for one in shared_app.workers() if one.id == "evil-1-0"], "it is shown")
    panel = workers_panel(found, 0.0, lambda batch, index: batch)
    for text in (*panel.notes, *(cell for row in panel.rows for cell in row)):
        assert text.isprintable()
