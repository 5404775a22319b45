"""Periodic tasks, which the leg does not have yet: there are none, and none can be put."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtasks.broker.verbs.periodicstore import Agenda, Fired, PeriodicStanding

from .sqlrefusal import refuse

if TYPE_CHECKING:
    from nbtasks.core.due.periodic import DueRun

    from .sqllink import SqlLink


class SqlPeriodicStore:
    """The periodic tasks of one namespace and key.

    Attributes:
        key_id: of the key that their frames are signed with.
    """

    def __init__(self, line: SqlLink, key_id: str) -> None:
        self._line = line
        self.key_id = key_id

    def put(
        self,
        id: str,
        frame: bytes,
        timetable: str,
        function: str,
        function_frame: bytes,
        client: str,
        first_ms: int,
        ttl_ms: int,
    ) -> int | None:
        """Put one."""
        raise refuse("periodic tasks")

    def agenda(self, beat: str, for_ms: int, most: int) -> Agenda:
        """Return what is due: nothing."""
        return Agenda(None, self._line.read(lambda tx: tx.now_ms()), None, ())

    def frame(self, id: str) -> bytes | None:
        """Return the frame of one."""
        return None

    def fire(self, version: str, due_ms: int | None, next_ms: int | None, run: DueRun) -> tuple[Fired, str]:
        """Submit a run."""
        raise refuse("periodic tasks")

    def pass_over(
        self, id: str, due_ms: int, next_ms: int | None, missed: int = 0, is_gone: bool = False
    ) -> bool:
        """Move on to another due time."""
        return False

    def pause(self, id: str) -> bool:
        """Have one pause."""
        return False

    def resume(self, id: str, next_ms: int) -> bool:
        """Have one go on."""
        return False

    def remove(self, id: str, client: str = "") -> bool:
        """Remove one."""
        return False

    def say_there(self, client: str, for_ms: int) -> None:
        """Say that a client is there with which periodic tasks end: none does."""

    def look(self, *ids: str) -> tuple[int, list[PeriodicStanding]]:
        """Return the server's time (ms), and what has become of them."""
        return self._line.read(lambda tx: tx.now_ms()), []
