"""joblib's way to workers: ``with app.joblib():``, and what takes ``n_jobs`` runs on them, scikit-learn say."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from joblib import parallel as joblib_parallel
from joblib._parallel_backends import (
    AutoBatchingMixin,
    FallbackToBackend,
    ParallelBackendBase,
    SequentialBackend,
    ThreadingBackend,
)

from nbtasks.client import current
from nbtasks.core.context import serving
from nbtasks.core.errors import WorkersError
from nbtasks.core.options import TaskOptions

from .taskexecutor import TaskExecutor
from .taskfuture import TaskFuture

R = TypeVar("R")
NAME = "nbtasks"
#: Seconds until a first worker has to be there where all are asked for.
_WORKER_S = 10.0
_LOOK_EVERY_S = 0.1


class TasksBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """One of joblib's backends.

    Args:
        app: whose workers are used; the current App's if None.
        options: of the calls, as of :meth:`nbtasks.App.executor`.
    """

    supports_retrieve_callback = True
    supports_inner_max_num_threads = False
    default_n_jobs = -1

    def __init__(
        self,
        nesting_level: int | None = None,
        inner_max_num_threads: int | None = None,
        app: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(nesting_level=nesting_level, inner_max_num_threads=inner_max_num_threads)
        self._app = app
        self._options = options
        # A mistake is reported here, not with the first call.
        self._checked = TaskOptions.make({"name": "joblib", **options})
        self._executor: TaskExecutor | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # In a worker, the App is the one that runs the call.
        return _anew, (self.nesting_level, self._options)

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return how many calls run at once; -1 are all slots of the workers, -2 all but one."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None:
            return 1
        return n_jobs if n_jobs > 0 else max(1, self._slots() + 1 + n_jobs)

    def _slots(self) -> int:
        """Return the slots of all workers that can take the calls.

        Raises:
            WorkersError: there are none, some seconds later neither.
        """
        engine, queue = self._provider.engine, self._checked.queue
        give_up_at = time.monotonic() + _WORKER_S
        while not (slots := sum(worker.slots_total for worker in engine.taking(queue))):
            if time.monotonic() > give_up_at:
                raise WorkersError(
                    f"joblib: n_jobs=-1 means all workers of queue {queue!r}, and there are none: start some with "
                    "app.start_workers() or %workers start, or say how many jobs, n_jobs=4"
                )
            time.sleep(_LOOK_EVERY_S)
        return slots

    @property
    def _provider(self) -> current.Provider:
        provider: current.Provider = self._app or current.current()
        return provider

    def configure(self, n_jobs: int | None = 1, parallel: Any = None, **_: Any) -> int:
        """Get ready for calls; returns how many run at once."""
        n_jobs = self.effective_n_jobs(n_jobs)
        if n_jobs == 1:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        if serving:
            # A call that waits for other calls keeps its slot, and joblib waits where nobody can see that.
            raise FallbackToBackend(ThreadingBackend(nesting_level=self.nesting_level))
        self.parallel = parallel
        self._open(n_jobs)
        return n_jobs

    def _open(self, n_jobs: int) -> None:
        self._n_jobs = n_jobs
        self._executor = TaskExecutor(self._provider, None, self._checked)

    def submit(self, func: Any, callback: Any = None) -> TaskFuture[Any]:
        """Submit a batch of joblib's calls."""
        assert self._executor is not None
        future: TaskFuture[Any] = self._executor.submit(run, func)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: TaskFuture[Any]) -> Any:
        """Return what a batch has come to."""
        return out.result()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Stop what runs: one call has failed."""
        if self._executor is not None:
            self._executor.line.revoke(terminate=True)
            self.terminate()
        if ensure_ready:
            self.configure(self._n_jobs, self.parallel)

    def terminate(self) -> None:
        """Take no more calls."""
        if self._executor is not None:
            self._executor.shutdown(wait=False)
            self._executor = None
        self.reset_batch_stats()


def _anew(nesting_level: int | None, options: dict[str, Any]) -> TasksBackend:
    return TasksBackend(nesting_level=nesting_level, **options)


def run(batch: Callable[[], R]) -> R:
    """Run a batch of joblib's calls; on a worker, which knows the backend by having this."""
    return batch()


def configured(app: Any, n_jobs: int, options: dict[str, Any]) -> Any:
    """Return joblib's context manager in which its calls run on an App's workers."""
    return joblib_parallel.parallel_config(backend=TasksBackend(app=app, **options), n_jobs=n_jobs)


joblib_parallel.register_parallel_backend(NAME, TasksBackend)
