"""``python -m benchmarks``: all peers, all works, in one interleaved run."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import check, peers, report, works
from benchmarks.campaign import OUT, measure
from benchmarks.machine import describe
from benchmarks.results import Results


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--peers", default=",".join(peers.NAMES), help="names, separated by commas")
    parser.add_argument("--works", default=",".join(works.ALL), help="names, separated by commas")
    parser.add_argument("--rounds", type=int, default=0, help="default: 3, with --quick 1")
    parser.add_argument(
        "--quick", action="store_true", help="small counts: shows that all works, not how fast"
    )
    parser.add_argument("--out", type=Path, default=OUT, help="folder for results.json, results.md and logs")
    parser.add_argument("--into", type=Path, action="append", default=[], help="file with markers to fill")
    parser.add_argument("--report", action="store_true", help="run nothing: report on --out's results.json")
    parser.add_argument("--check", action="store_true", help="nbtasks against the pool, with stored bounds")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    path = given.out / "results.json"
    if given.check:
        given.peers, given.works = ",".join(check.PEERS), ",".join(check.WORKS)
    if given.report:
        results = Results.load(path)
    else:
        results = Results(path, {**describe(), "quick": given.quick})
        measure(
            results,
            _chosen(given.peers, peers.NAMES),
            _chosen(given.works, tuple(works.ALL)),
            rounds=given.rounds or (1 if given.quick else 3),
            quick=given.quick,
            out=given.out,
        )
    report.show(results)
    (given.out / "results.md").write_text(report.markdown(results))
    for file in given.into:
        report.fill(file, results)
    if given.check:
        raise SystemExit(check.verdict(results))


def _chosen(text: str, known: tuple[str, ...]) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
    return names


if __name__ == "__main__":
    main()
