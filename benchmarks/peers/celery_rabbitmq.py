"""Celery on RabbitMQ, results in Redis; for the brokers."""

from __future__ import annotations

from . import celery


class Adapter(celery.Adapter):
    name = "celery_rabbitmq"
    environment = "celery"
    packages = ("celery", "kombu", "amqp", "redis")
    servers = ("rabbitmq",)
    caveats = (
        "Classic queues and no publisher confirms, as it is by default.",
        *celery.Adapter.caveats[1:3],
    )

    @property
    def urls(self):
        return self.setting.rabbitmq_url, super().urls[1]
