"""Who has submitted a batch: by its notebook and its cell a run is found again."""

from __future__ import annotations

from dataclasses import dataclass

#: Characters that are kept of each text.
MOST_TEXT = 1000


@dataclass(frozen=True)
class Submitter:
    """A process, the notebook or script in it, and the cell of that.

    Attributes:
        place: path of the notebook or script; a folder, with a slash at its end, where the notebook has no name here.
            Empty in a worker, where calls belong to the task that submits them.
        cell: ``i`` and the cell's id, or ``s`` and a hash of its source where the front end names no cell; else empty.
        machine: where the process is.
        pid: of the process.
        started: when that has begun, in its machine's own count; 0 where that does not tell.
        execution: what tells one run of the cell from the next, in this process only.
    """

    place: str = ""
    cell: str = ""
    machine: str = ""
    pid: int = 0
    started: int = 0
    execution: str = ""

    def in_one_process(self, other: Submitter) -> bool:
        """Whether both are the same process."""
        mine, its = ((one.machine, one.pid, one.started) for one in (self, other))
        return mine == its

    def in_one_notebook(self, other: Submitter) -> bool:
        """Whether both have the same notebook or script."""
        return bool(self.place) and self.place == other.place
