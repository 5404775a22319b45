"""A run: environments made, the plan's cells one after the other, figures on disk after each."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmarks import environments, peers, report
from benchmarks.results import Results
from benchmarks.runner import Runner, plan

OUT = environments.ROOT / "build" / "bench"


def measure(
    results: Results, names: Iterable[str], wanted: Iterable[str], *, rounds: int, quick: bool, out: Path
) -> None:
    """Run every cell of the plan and add its outcome to ``results``."""
    pythons = _prepare(results, names)
    runner = Runner(pythons, quick, out / "logs")
    cells = list(plan(pythons, list(wanted), rounds))
    for number, cell in enumerate(cells, 1):
        outcome = runner.run(cell)
        results.add(cell, outcome)
        print(f"{number}/{len(cells)}  {report.line(cell, outcome)}", flush=True)


def _prepare(results: Results, names: Iterable[str]) -> dict[str, Path]:
    """Return peer -> its Python; those that cannot be installed are noted, not left out silently."""
    pythons = {}
    for name in names:
        peer = peers.find(name)
        try:
            pythons[name] = environments.prepare(peer.environment or name, peer.requirements)
        except environments.NotInstallable as error:
            results.missing(name, str(error))
            print(f"{name} cannot be installed here: {error}", flush=True)
    return pythons
