"""``python -m benchmarks.kill9``: the same kill -9, on nbtasks and on Celery, side by side.

Two workers with two processes each get calls of known durations; in mid-run a process, or a whole worker, is
killed. The table says how many results never came, how many calls were run more than once (a file that the calls
write to says so), and how long it took until every result was there. It is the table of docs/guarantees.md.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from benchmarks import report, works
from benchmarks.campaign import OUT, measure
from benchmarks.machine import describe
from benchmarks.results import Results
from benchmarks.works.kills import PEERS, KillChild, KillWorker

TITLES = {
    "nbtasks_fleet": "nbtasks, defaults",
    "celery_plain": "Celery, Redis defaults",
    "celery_late": "Celery, acks_late, reject_on_worker_lost, visibility_timeout 30 s",
}
HEAD = [
    "killed",
    "",
    "runs",
    "calls",
    "lost results",
    "of them failed",
    "run twice or more",
    "until all results",
]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kill9", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="fewer calls, 45 s of patience")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--out", type=Path, default=OUT / "kill9", help="folder for results and logs")
    parser.add_argument("--into", type=Path, action="append", default=[], help="file with markers to fill")
    given = parser.parse_args()
    results = Results(given.out / "results.json", {**describe(), "quick": given.quick})
    chosen = given.peers.split(",")
    measure(results, chosen, works.FAULTS, rounds=given.rounds, quick=given.quick, out=given.out)
    rows = table(results)
    report.print_table(rows, "kill -9 in mid-run")
    (given.out / "results.md").write_text(report.as_markdown(rows))
    for file in given.into:
        report.fill_part(file, "kill9", f"{report.machine(results)}\n{report.as_markdown(rows)}")


def table(results: Results) -> report.Rows:
    """Return one row for each fault and library, all rounds together."""
    rows = [HEAD]
    for name in (KillChild.name, KillWorker.name):
        for peer, title in TITLES.items():
            figures = [measured["details"] for measured in results.measured(name, peer)]
            errors = results.errors(name, peer)
            if figures:
                rows.append([works.FAULTS[name].title, title, *_sums(figures)])
            elif errors:
                rows.append([works.FAULTS[name].title, title, "failed: " + errors[-1], *[report.NOTHING] * 5])
    return rows


def _sums(figures: list[dict]) -> list[str]:
    def total(name):
        return f"{sum(figure[name] for figure in figures):,}"

    whole = [figure["seconds until all"] for figure in figures if not figure["lost"]]
    until = f"{statistics.median(whole):.1f} s" if whole else "never"
    if whole and len(whole) < len(figures):
        until += f" in {len(whole)} of {len(figures)} runs"
    names = ("calls", "lost", "of them failed", "run twice or more")
    return [str(len(figures)), *(total(name) for name in names), until]


if __name__ == "__main__":
    main()
