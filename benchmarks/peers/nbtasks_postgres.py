"""nbtasks on PostgreSQL alone; for the brokers."""

from __future__ import annotations

import os

from . import nbtasks


class Adapter(nbtasks.Adapter):
    name = "nbtasks_postgres"
    environment = "nbtasks_brokers"
    requirements = (".[jupyter,postgres,amqp]",)
    packages = ("nbtasks", "psycopg")
    servers = ("postgresql",)
    caveats = ()

    def make(self):
        from nbtasks import App

        # Until it is open to users.
        os.environ["NBTASKS_UNFINISHED_POSTGRESQL"] = "1"
        return App("bench", broker=self.setting.postgres_url)
