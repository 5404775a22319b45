"""nbtasks on PostgreSQL alone; for the brokers."""

from __future__ import annotations

from . import nbtasks


class Adapter(nbtasks.Adapter):
    name = "nbtasks_postgres"
    environment = "nbtasks_brokers"
    requirements = (".[jupyter,postgres,amqp,beanstalk,mysql]",)
    packages = ("nbtasks", "psycopg")
    servers = ("postgresql",)
    caveats = ()

    def make(self):
        from nbtasks import App

        return App("bench", broker=self.setting.postgres_url)
