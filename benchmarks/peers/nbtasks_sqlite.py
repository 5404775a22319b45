"""nbtasks on a SQLite file; for the brokers."""

from __future__ import annotations

from . import nbtasks_postgres


class Adapter(nbtasks_postgres.Adapter):
    name = "nbtasks_sqlite"
    packages = ("nbtasks",)
    servers = ()
    caveats = ("``synchronous=FULL``, as it is by default.",)

    def make(self):
        from nbtasks import App

        return App("bench", broker=f"sqlite:///{self.setting.folder}/broker.db")
