"""What was measured: all figures of all rounds, in one JSON file, and their medians."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict
from pathlib import Path

from benchmarks import works


class Results:
    """Figures by work and peer."""

    def __init__(self, path: Path, machine: dict) -> None:
        self._path = path
        self.machine = machine
        #: Each has peer, work, round and ``measured`` or ``error``.
        self.cells: list[dict] = []
        self.versions: dict[str, dict[str, str]] = {}
        self.not_installed: dict[str, str] = {}

    @classmethod
    def load(cls, path: Path) -> Results:
        data = json.loads(path.read_text())
        results = cls(path, data["machine"])
        results.cells, results.versions = data["cells"], data["versions"]
        results.not_installed = data["not_installed"]
        return results

    def add(self, cell, outcome: dict) -> None:
        self.versions[cell.peer] = outcome.pop("versions", self.versions.get(cell.peer, {}))
        self.cells.append({**asdict(cell), **outcome})
        self.save()

    def missing(self, peer: str, reason: str) -> None:
        self.not_installed[peer] = reason
        self.save()

    def save(self) -> None:
        data = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(data, indent=1) + "\n")

    # --- reading

    @property
    def peers(self) -> list[str]:
        """Who was measured, in the order of the cells' first round."""
        from benchmarks.peers import NAMES

        return [name for name in NAMES if any(cell["peer"] == name for cell in self.cells)]

    @property
    def works(self) -> list[works.Work]:
        done = {cell["work"] for cell in self.cells}
        return [work for name, work in works.ALL.items() if name in done]

    def measured(self, work: str, peer: str) -> list[dict]:
        """Return the figures of all rounds."""
        return [cell["measured"] for cell in self._of(work, peer) if "measured" in cell]

    def errors(self, work: str, peer: str) -> list[str]:
        return [cell["error"] for cell in self._of(work, peer) if "error" in cell]

    def _of(self, work: str, peer: str) -> list[dict]:
        return [cell for cell in self.cells if cell["work"] == work and cell["peer"] == peer]

    def median(self, work: str, peer: str) -> float | None:
        """Return the median of a peer's figures; None where it has none."""
        values = [figure["value"] for figure in self.measured(work, peer)]
        return statistics.median(values) if values else None

    def ratio(self, work: works.Work, peer: str) -> float | None:
        """Return how many times better nbtasks is than a peer; None where one of the two has no figure."""
        ours, theirs = self.median(work.name, "nbtasks"), self.median(work.name, peer)
        if not ours or not theirs:
            return None
        return ours / theirs if work.higher_is_better else theirs / ours

    def cpu_us(self, work: str, peer: str) -> dict[str, float]:
        """Return role -> median CPU microseconds for one call."""
        figures = [figure for figure in self.measured(work, peer) if figure["calls"] and figure["cpu"]]
        roles = sorted({role for figure in figures for role in figure["cpu"]})
        return {
            role: statistics.median(f["cpu"].get(role, 0.0) / f["calls"] * 1e6 for f in figures)
            for role in roles
        }
