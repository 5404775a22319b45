"""Celery on Redis with nothing set, several workers; for the fault work only."""

from __future__ import annotations

from . import celery


class Adapter(celery.Adapter):
    name = "celery_plain"
    environment = "celery"
    caveats = ("Every setting as Celery has it by default with Redis.",)

    def make(self):
        app = super().make()
        app.conf.worker_prefetch_multiplier = 4
        return app

    @property
    def _workers(self) -> int:
        return self.setting.workers

    def options(self) -> list[str]:
        return []
