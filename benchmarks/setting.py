"""What a cell asks of a peer: how many processes, how many slots, which server, what kind of work."""

from __future__ import annotations

from dataclasses import asdict, dataclass

#: Slots of one worker process for waiting calls.
THREADS = 32
COROUTINES = 100


@dataclass(frozen=True)
class Setting:
    #: Worker processes.
    children: int = 2
    #: Workers that can be killed apart, each with so many processes; for the fault works.
    workers: int = 1
    #: ``process``: one call at a time in each; ``threads``; ``async``.
    pool: str = "process"
    #: Arguments and results are numpy arrays, which JSON cannot carry.
    arrays: bool = False
    #: Calls are long or uneven: no peer shall take several at once.
    uneven: bool = False
    #: Calls come one after the other: no peer shall wait for more of them.
    single: bool = False
    #: Private server of the cell, by its unix socket and by loopback TCP; empty where a peer needs none.
    socket_url: str = ""
    tcp_url: str = ""
    #: Private servers of other kinds; empty where a peer needs none.
    postgres_url: str = ""
    rabbitmq_url: str = ""
    mariadb_url: str = ""
    beanstalk_url: str = ""
    #: A folder for what a peer wants to write; removed after the cell.
    folder: str = ""

    @property
    def slots(self) -> int:
        """Slots of one worker process."""
        return {"process": 1, "threads": THREADS, "async": COROUTINES}[self.pool]

    def to_json(self) -> dict:
        return asdict(self)
