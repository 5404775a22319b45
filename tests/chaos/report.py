"""The report of the fault tests: one JSON line for each run of a row, and the tables made of them.

``python tests/chaos/report.py`` prints the tables of all runs in ``build/chaos``; ``--into docs/guarantees.md``
writes them between the markers there, where rows that were not run now stay as they are. Remove ``build/chaos`` before
the tests to begin a new report.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BEGIN = "<!-- matrix: written by tests/chaos/report.py -->"
END = "<!-- end of matrix -->"
_COUNTS = ("faults", "calls", "executions", "lost", "changed", "doubled")
_COLUMNS = ("fault", "server", "runs", *_COUNTS, "recovery", "promised")
_SUMS = ("broker", "rows", "runs", *_COUNTS, "slowest recovery")
_WORDS = ("fault", "server", "broker")
#: By what a server's name begins with, in the order of the page.
_BROKERS = {
    **dict.fromkeys(("embedded", "bundled", "valkey", "redis"), "Valkey and Redis"),
    "postgresql": "PostgreSQL",
    "mariadb": "MariaDB",
    "sqlite": "SQLite",
    "rabbitmq": "RabbitMQ",
    "beanstalk": "Beanstalk",
    "sqs": "Amazon SQS",
    "etcd": "etcd",
}


@dataclass(frozen=True)
class Row:
    """One run of one row of the matrix.

    Attributes:
        row: what was done, in words.
        server: the server's flavour and version.
        seed: begins the same run again, with NBTASKS_CHAOS_SEED.
        faults: how many were injected.
        executions: how often calls were started, all together.
        lost: calls without the right final state.
        changed: results that were not the same when they were read again.
        doubled: calls that were executed more often than faults touched them, or twice at the same time.
        recovery_s: longest time until what a fault had broken off ran again; None where nothing was broken off.
        promised_s: what is promised for that; None for nothing.
    """

    row: str
    server: str
    seed: int
    faults: int
    calls: int
    executions: int
    lost: int
    changed: int
    doubled: int
    recovery_s: float | None = None
    promised_s: float | None = None


def folder() -> Path:
    """Where the lines are collected."""
    return Path(os.environ.get("NBTASKS_CHAOS_REPORT", ROOT / "build" / "chaos"))


def write(row: Row) -> None:
    """Append a row's run."""
    folder().mkdir(parents=True, exist_ok=True)
    line = json.dumps(dataclasses.asdict(row)) + "\n"
    # Each test process has its own file.
    with (folder() / f"{os.getpid()}.jsonl").open("a") as file:
        file.write(line)


def read() -> list[Row]:
    """Return all runs."""
    return [
        Row(**json.loads(line))
        for file in sorted(folder().glob("*.jsonl"))
        for line in file.read_text().splitlines()
    ]


@dataclass(frozen=True)
class Line:
    """All runs of one row on one server, added up; the slowest recovery counts.

    Attributes:
        cells: of its line of the table, from the fault to what is promised.
    """

    cells: tuple[str, ...]

    @classmethod
    def of(cls, runs: Sequence[Row]) -> Line:
        """Add up runs."""
        counts = [sum(getattr(run, what) for run in runs) for what in _COUNTS]
        numbers = [str(len(runs)), *(f"{count:,}" for count in counts)]
        times = [_seconds(run.recovery_s for run in runs), _seconds(run.promised_s for run in runs)]
        return cls((runs[0].row, runs[0].server, *numbers, *times))

    @property
    def place(self) -> tuple[str, str]:
        """Fault and server."""
        return self.cells[0], self.cells[1]

    @property
    def broker(self) -> str:
        """What its server is one of."""
        name = self.cells[1].partition("-")[0]
        return _BROKERS.get(name, name)

    def number(self, column: str) -> float:
        """Return what stands in a column; 0 for nothing."""
        cell = self.cells[_COLUMNS.index(column)]
        return float(cell.removesuffix(" s").replace(",", "") or 0)


def tables(lines: Iterable[Line]) -> str:
    """Return the Markdown tables: a line for each broker, then a table for each with a line for each fault."""
    brokers: dict[str, list[Line]] = {name: [] for name in _BROKERS.values()}
    for line in sorted(lines, key=lambda one: one.place):
        brokers.setdefault(line.broker, []).append(line)
    there = {name: held for name, held in brokers.items() if held}
    parts = [_table(_SUMS, [_sums(name, held) for name, held in there.items()])]
    parts += [
        f"### {name}\n\n{_table(_COLUMNS, [one.cells for one in held])}" for name, held in there.items()
    ]
    return "\n\n".join(parts)


def _sums(name: str, lines: Sequence[Line]) -> tuple[str, ...]:
    counts = (f"{sum(round(line.number(what)) for line in lines):,}" for what in ("runs", *_COUNTS))
    slowest = max(line.number("recovery") for line in lines)
    return name, str(len(lines)), *counts, f"{slowest:.2g} s" if slowest else ""


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rule = ["---" if column in _WORDS else "--:" for column in columns]
    return "\n".join([_joined(columns), f"|{'|'.join(rule)}|", *map(_joined, rows)])


def _joined(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _seconds(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{max(known):.2g} s" if known else ""


def lines_of(runs: Iterable[Row]) -> dict[tuple[str, str], Line]:
    """Add up the runs of each row on each server."""
    together: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for run in runs:
        together[run.row, run.server].append(run)
    return {place: Line.of(same) for place, same in together.items()}


def rewrite(page: Path, runs: Iterable[Row]) -> None:
    """Put the tables between the markers of a page; rows that were not run now stay as they are."""
    before, begin, rest = page.read_text().partition(BEGIN)
    old, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{page} has no lines {BEGIN!r} and {END!r} for the tables")
    lines = {line.place: line for line in _lines_in(old)} | lines_of(runs)
    page.write_text(f"{before}{BEGIN}\n\n{tables(lines.values())}\n\n{END}{after}")


def _lines_in(text: str) -> Iterator[Line]:
    for line in text.splitlines():
        cells = tuple(cell.strip() for cell in line.strip("|").split("|"))
        # The table of all brokers has another number of columns.
        if len(cells) == len(_COLUMNS) and cells != _COLUMNS and not cells[0].startswith("--"):
            yield Line(cells)


def main() -> None:
    """Print the tables, or write them into a page."""
    parser = argparse.ArgumentParser(description="The tables of all fault-test runs.")
    parser.add_argument(
        "--into", type=Path, metavar="PAGE", help="write them between the markers of this page"
    )
    page = parser.parse_args().into
    if page is None:
        print(tables(lines_of(read()).values()))
    else:
        rewrite(page, read())


if __name__ == "__main__":
    main()
