"""RQ with its default worker, which forks for each job."""

from __future__ import annotations

from benchmarks import tasks

from .base import WAIT_S, Peer


class Adapter(Peer):
    name = "rq"
    requirements = ("rq",)
    packages = ("rq", "redis")
    bulk = "queue.enqueue_many(Queue.prepare_data(f, (x,)) for x in items)"
    on_redis = True
    caveats = (
        "The default worker forks for each job, which isolates jobs and costs milliseconds.",
        "The functions are imported before the fork, as its documentation advises.",
        "No threads, no async tasks.",
    )

    def start(self) -> None:
        from rq import Queue

        self._queue = Queue(connection=self._connect())
        self.spawn(self.setting.children)

    def _connect(self):
        from redis import Redis

        return Redis.from_url(self.setting.socket_url)

    def serve(self) -> None:
        from rq import Queue, Worker

        assert tasks  # imported here, once, and not in every fork
        connection = self._connect()
        Worker([Queue(connection=connection)], connection=connection).work(logging_level="WARNING")

    def submit(self, task, x):
        return self._queue.enqueue(task, x, result_ttl=WAIT_S)

    def wait(self, handle):
        result = handle.latest_result(timeout=WAIT_S)
        if result is None or result.type != result.Type.SUCCESSFUL:
            raise RuntimeError(f"job {handle.id}: {result and result.exc_string}")
        return result.return_value

    def map(self, task, items):
        datas = [self._queue.prepare_data(task, (item,), result_ttl=WAIT_S) for item in items]
        return [self.wait(job) for job in self._queue.enqueue_many(datas)]
