"""nbtasks on MariaDB alone; for the brokers."""

from __future__ import annotations

from . import nbtasks_postgres


class Adapter(nbtasks_postgres.Adapter):
    name = "nbtasks_mariadb"
    packages = ("nbtasks", "PyMySQL")
    servers = ("mariadb",)
    caveats = ()

    def make(self):
        from nbtasks import App

        return App("bench", broker=self.setting.mariadb_url)
