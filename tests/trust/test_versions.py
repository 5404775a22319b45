"""A notebook and a worker with different wire formats: each says so of what the other one has written."""

from __future__ import annotations

import pytest

from nbtasks import SignatureMismatch

SOON = 20.0
OTHERS = [b"NB1", b"NB3"]
SENTENCE = "has an unknown format; both sides need the same nbtasks"


@pytest.mark.parametrize("magic", OTHERS)
def test_a_worker_refuses_calls_of_another_version(shared_app, attack, worker_on, magic):
    attacker, queue = attack(shared_app), f"calls-{magic.decode()}"
    handle = shared_app.task(len).apply_async(("ab",), queue=queue)
    ((entry_id, fields),) = attacker.entries(queue)
    attacker.replace(queue, entry_id, d=magic + fields[b"d"][3:])
    with worker_on(shared_app, queue) as other:
        # This notebook has the right version, and sends it again.
        assert handle.get(timeout=SOON) == 2
        assert f"refused: a chunk record {SENTENCE}" in other.local_workers.log_tail(50)


@pytest.mark.parametrize("magic", OTHERS)
def test_a_notebook_refuses_results_of_another_version(shared_app, attack, restarted, magic):
    attacker = attack(shared_app)
    handle = shared_app.task(len).delay("ab")
    handle.get(timeout=SOON)
    ((name, frame),) = attacker.records(handle.batch.id).items()
    attacker.redis.hset(attacker.keys.records(handle.batch.id), name, magic + frame[3:])
    with pytest.raises(SignatureMismatch, match=f"a result record {SENTENCE}"):
        restarted(shared_app).AsyncResult(handle.id).get(timeout=SOON)
