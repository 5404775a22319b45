"""Celery on RabbitMQ, results as messages of it; for the brokers."""

from __future__ import annotations

from . import celery_rabbitmq


class Adapter(celery_rabbitmq.Adapter):
    name = "celery_rpc"
    on_redis = False
    caveats = ("Results can be had once, by the client that has submitted.", *celery_rabbitmq.Adapter.caveats)

    @property
    def urls(self):
        return self.setting.rabbitmq_url, "rpc://"
