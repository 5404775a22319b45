"""The report of the fault tests: one JSON line for each run of a row, and the table made of them.

``python tests/chaos/report.py`` prints the table of all runs in ``build/chaos``; ``--into docs/guarantees.md``
writes it between the markers there, where rows that were not run now stay as they are. Remove ``build/chaos`` before
the tests to begin a new report.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BEGIN = "<!-- matrix: written by tests/chaos/report.py -->"
END = "<!-- end of matrix -->"


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


def table(rows: Iterable[Row]) -> str:
    """Return the Markdown table: runs of the same row on the same server are added up, the slowest recovery counts."""
    together: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        together[row.row, row.server].append(row)
    lines = [
        "| fault | server | runs | faults | calls | executions | lost | changed | doubled | recovery | promised |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [_line(name, server, runs) for (name, server), runs in sorted(together.items())]
    return "\n".join(lines)


def _line(name: str, server: str, runs: list[Row]) -> str:
    counts = [
        sum(getattr(run, what) for run in runs)
        for what in ("faults", "calls", "executions", "lost", "changed", "doubled")
    ]
    cells = [name, server, str(len(runs)), *(f"{count:,}" for count in counts)]
    cells += [_seconds(run.recovery_s for run in runs), _seconds(run.promised_s for run in runs)]
    return f"| {' | '.join(cells)} |"


def _seconds(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{max(known):.2g} s" if known else ""


def rewrite(page: Path) -> None:
    """Put the table between the markers of a page; rows that were not run now stay as they are."""
    before, begin, rest = page.read_text().partition(BEGIN)
    old, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{page} has no lines {BEGIN!r} and {END!r} for the table")
    head, rule, *lines = table(read()).splitlines()
    rows = {_place(line): line for line in [*old.strip().splitlines()[2:], *lines]}
    made = "\n".join([head, rule, *(rows[place] for place in sorted(rows))])
    page.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{after}")


def _place(line: str) -> tuple[str, str]:
    """Return fault and server of a line of the table."""
    _, fault, server, *_ = (cell.strip() for cell in line.split("|"))
    return fault, server


def main() -> None:
    """Print the table, or write it into a page."""
    parser = argparse.ArgumentParser(description="The table of all fault-test runs.")
    parser.add_argument("--into", type=Path, metavar="PAGE", help="write it between the markers of this page")
    page = parser.parse_args().into
    if page is None:
        print(table(read()))
    else:
        rewrite(page)


if __name__ == "__main__":
    main()
