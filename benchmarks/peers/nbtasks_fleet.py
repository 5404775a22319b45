"""nbtasks with workers started from a terminal, several of them; for the fault work only."""

from __future__ import annotations

from . import nbtasks


class Adapter(nbtasks.Adapter):
    name = "nbtasks_fleet"
    environment = "nbtasks"
    caveats = ("Every option as nbtasks has it by default; the lease is 15 s.",)

    def start_workers(self, children):
        command = ["-m", "nbtasks", "worker", "-b", self.server_url, "-c", str(children), "-l", "warning"]
        self.spawn(self.setting.workers, command)

    def close(self) -> None:
        super(nbtasks.Adapter, self).close()
        super().close()
