"""What happens to tasks and workers, and who is told; the names and arguments are Celery's.

::

    from nbtasks.signals import task_failure

    @task_failure.connect
    def alert(sender, task_id, exception, **kwargs): ...
"""

from difflib import get_close_matches

from nbtasks.core.around import around_call
from nbtasks.core.signal import (
    Signal,
    after_setup_logger,
    after_setup_task_logger,
    after_task_publish,
    beat_embedded_init,
    beat_init,
    before_task_publish,
    celeryd_after_setup,
    celeryd_init,
    eventlet_pool_apply,
    eventlet_pool_postshutdown,
    eventlet_pool_preshutdown,
    eventlet_pool_started,
    heartbeat_sent,
    import_modules,
    setup_logging,
    task_failure,
    task_internal_error,
    task_postrun,
    task_prerun,
    task_received,
    task_rejected,
    task_retry,
    task_revoked,
    task_success,
    task_unknown,
    user_preload_options,
    worker_before_create_process,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)

__all__ = [
    "Signal",
    "after_setup_logger",
    "after_setup_task_logger",
    "after_task_publish",
    "around_call",
    "beat_embedded_init",
    "beat_init",
    "before_task_publish",
    "celeryd_after_setup",
    "celeryd_init",
    "eventlet_pool_apply",
    "eventlet_pool_postshutdown",
    "eventlet_pool_preshutdown",
    "eventlet_pool_started",
    "heartbeat_sent",
    "import_modules",
    "setup_logging",
    "task_failure",
    "task_internal_error",
    "task_postrun",
    "task_prerun",
    "task_received",
    "task_rejected",
    "task_retry",
    "task_revoked",
    "task_success",
    "task_unknown",
    "user_preload_options",
    "worker_before_create_process",
    "worker_init",
    "worker_process_init",
    "worker_process_shutdown",
    "worker_ready",
    "worker_shutdown",
    "worker_shutting_down",
]


def __getattr__(name: str) -> Signal:
    near = get_close_matches(name, __all__, 1)
    raise AttributeError(f"there is no signal {name!r}{f'; did you mean {near[0]!r}?' if near else ''}")
