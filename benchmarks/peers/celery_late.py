"""Celery with what its documentation offers against lost workers; for the fault work only."""

from __future__ import annotations

from . import celery_plain

#: Seconds; the default is an hour.
VISIBILITY_S = 30


class Adapter(celery_plain.Adapter):
    name = "celery_late"
    caveats = (
        "task_acks_late=True, task_reject_on_worker_lost=True, worker_prefetch_multiplier=1.",
        f"visibility_timeout={VISIBILITY_S} s; the default is an hour.",
    )

    def make(self):
        app = super().make()
        app.conf.update(
            task_acks_late=True,
            task_reject_on_worker_lost=True,
            worker_prefetch_multiplier=1,
            broker_transport_options={"visibility_timeout": VISIBILITY_S},
            result_backend_transport_options={"visibility_timeout": VISIBILITY_S},
        )
        return app
