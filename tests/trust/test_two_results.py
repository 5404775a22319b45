"""Two results of one call, both signed, as a call that was run twice may have: what a writer without the key can do."""

from __future__ import annotations

import pytest
import redis

from nbtasks import App, SignatureMismatch

SOON = 60.0


def test_they_can_be_exchanged_for_later_readers_and_not_for_another_call(idle_app):
    idle_app.start_workers(1)
    task = idle_app.task(abs)
    first, other = task.apply_async((-1,), priority=5), task.apply_async((-2,), priority=5)
    assert (first.get(timeout=SOON), other.get(timeout=SOON)) == (1, 2)
    keys, codec = idle_app.session.line.keys, idle_app.session.codec
    with redis.Redis.from_url(idle_app.connection.url) as raw:
        (frame,) = raw.hvals(keys.records(other.id))
        record = codec.open_record(frame, other.id)
        # What a second execution of the first call would have given.
        record.batch = first.id
        raw.hset(keys.records(first.id), "0+1", codec.seal_record(record))
        raw.hset(keys.records(other.id), "0+1", raw.hget(keys.records(first.id), "0+1"))
    with App(connection=idle_app.connection) as later:
        assert later.AsyncResult(first.id).get(timeout=SOON) == 2
        with pytest.raises(SignatureMismatch):
            later.AsyncResult(other.id).get(timeout=SOON)
    assert first.get(timeout=SOON) == 1
