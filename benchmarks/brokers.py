"""``python -m benchmarks.brokers``: nbtasks on each kind of broker, beside others on the same servers.

Each cell has servers of its own, as in the other runs: the same programs with the same settings for all. The table is
that of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import peers, report, works
from benchmarks.campaign import OUT, measure
from benchmarks.machine import describe
from benchmarks.results import Results
from benchmarks.works import Work

#: Peer -> its row, and the peer that it is compared with.
TITLES = {
    "nbtasks": ("nbtasks, embedded server", None),
    "nbtasks_rabbitmq": ("nbtasks, RabbitMQ and Redis", "nbtasks"),
    "celery_rabbitmq": ("Celery, RabbitMQ and Redis", "nbtasks_rabbitmq"),
    "celery_rpc": ("Celery, RabbitMQ alone (rpc://)", "nbtasks_rabbitmq"),
    "nbtasks_postgres": ("nbtasks, PostgreSQL", "nbtasks"),
    "procrastinate": ("Procrastinate, PostgreSQL", "nbtasks_postgres"),
    "pgqueuer": ("PgQueuer, PostgreSQL", "nbtasks_postgres"),
    "nbtasks_beanstalk": ("nbtasks, Beanstalk and Redis", "nbtasks"),
    "nbtasks_sqlite": ("nbtasks, SQLite", "nbtasks"),
    "nbtasks_mariadb": ("nbtasks, MariaDB", "nbtasks"),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.brokers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--quick", action="store_true", help="small counts: shows that all works, not how fast"
    )
    parser.add_argument("--peers", default=",".join(TITLES))
    parser.add_argument("--works", default=",".join(works.ON_BROKERS))
    parser.add_argument("--out", type=Path, default=OUT / "brokers", help="folder for results and logs")
    parser.add_argument("--into", type=Path, action="append", default=[], help="file with markers to fill")
    parser.add_argument("--report", action="store_true", help="run nothing: report on --out's results.json")
    given = parser.parse_args()
    path = given.out / "results.json"
    if given.report:
        results = Results.load(path)
    else:
        results = Results(path, {**describe(), "quick": given.quick})
        chosen, wanted = given.peers.split(","), given.works.split(",")
        measure(results, chosen, wanted, rounds=given.rounds, quick=given.quick, out=given.out)
    report.print_table(table(results), "the same work on the same servers")
    report.print_table(cpu(results), "CPU, µs for each call: client, workers, server")
    text = f"{report.machine(results)}\n{report.as_markdown(table(results))}\n{report.as_markdown(cpu(results))}\n"
    text += _peers(results)
    (given.out / "results.md").write_text(text)
    for file in given.into:
        report.fill_part(file, "brokers", text)


def table(results: Results) -> report.Rows:
    """Return one row for each peer; where it is compared, with how many times as long it takes."""
    chosen = [works.find(name) for name in works.ON_BROKERS]
    rows = [["", *(f"{work.title} [{work.unit}]" for work in chosen)]]
    for peer, (title, other) in _measured(results):
        rows.append([title, *(_figure(results, work, peer, other) for work in chosen)])
    return rows


def cpu(results: Results) -> report.Rows:
    """Return the same with the CPU time of each call."""
    rows = [["", *(works.find(name).title for name in works.ON_BROKERS)]]
    for peer, (title, _) in _measured(results):
        used = [results.cpu_us(name, peer) for name in works.ON_BROKERS]
        roles = ("client", "workers", "server")
        rows.append([title, *(", ".join(report.number(one.get(role)) for role in roles) for one in used)])
    return rows


def _measured(results: Results):
    seen = {cell["peer"] for cell in results.cells}
    return [(peer, row) for peer, row in TITLES.items() if peer in seen]


def _figure(results: Results, work: Work, peer: str, other: str | None) -> str:
    values = [figure["value"] for figure in results.measured(work.name, peer)]
    if not values:
        return "failed" if results.errors(work.name, peer) else report.NOTHING
    median = results.median(work.name, peer)
    text = f"{report.number(median)} ({report.number(min(values))} to {report.number(max(values))})"
    base = results.median(work.name, other) if other else None
    return f"{text}, {report.number(median / base)}×" if base else text


def _peers(results: Results) -> str:
    lines = []
    for name, (title, _) in _measured(results):
        peer = peers.find(name)
        versions = ", ".join(
            f"{package} {version}" for package, version in results.versions.get(name, {}).items()
        )
        lines.append(f"- **{title}**: {versions}; `{peer.bulk}`. {' '.join(peer.caveats)}".rstrip() + "\n")
    return "".join(lines)


if __name__ == "__main__":
    main()
