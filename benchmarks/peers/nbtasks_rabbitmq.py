"""nbtasks on RabbitMQ, with a Redis for all that is to be kept; for the brokers."""

from __future__ import annotations

from . import nbtasks_postgres


class Adapter(nbtasks_postgres.Adapter):
    name = "nbtasks_rabbitmq"
    packages = ("nbtasks", "amqp", "redis")
    servers = ("rabbitmq",)
    on_redis = True
    caveats = ("Quorum queues, every reference confirmed.",)

    def make(self):
        from nbtasks import App

        return App("bench", broker=self.setting.rabbitmq_url, backend=self.setting.socket_url)
