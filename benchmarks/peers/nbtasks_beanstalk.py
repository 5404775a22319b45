"""nbtasks on Beanstalk, with a Redis for all that is to be kept; for the brokers."""

from __future__ import annotations

from . import nbtasks_postgres


class Adapter(nbtasks_postgres.Adapter):
    name = "nbtasks_beanstalk"
    packages = ("nbtasks", "greenstalk", "redis")
    servers = ("beanstalk",)
    on_redis = True
    caveats = ()

    def make(self):
        from nbtasks import App

        return App("bench", broker=self.setting.beanstalk_url, backend=self.setting.socket_url)
