"""The results for people: tables in the terminal, the same as Markdown, and files with markers to fill.

A file asks for a part between ``<!-- bench:NAME -->`` and ``<!-- /bench:NAME -->``; the names are those of PARTS.
"""

from __future__ import annotations

import re
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks import peers, works
from benchmarks.results import Results
from benchmarks.works import Work

#: Works of the table that compares all peers; the others have one of their own only.
OVERVIEW = (
    "one_call",
    "map",
    "loop",
    "arrays",
    "sleeps_threads",
    "sleeps_async",
    "first_result",
)
NOTHING = "-"

Rows = list[list[str]]


def number(value: float | None) -> str:
    """Write a figure with three digits that matter."""
    if value is None:
        return NOTHING
    if abs(value) >= 1000:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def line(cell, outcome: dict) -> str:
    """Tell one cell's outcome in a line."""
    unit = works.find(cell.work).unit
    text = outcome.get("error") or f"{number(outcome['measured']['value'])} {unit}"
    return f"{cell.work:16} {cell.peer:12} {text.splitlines()[0][:160]}"


# --- tables as rows of text: the first row is the head ------------------------------------------------------


def overview(results: Results) -> Rows:
    """One row for each peer, one column for each of the works that compare all."""
    chosen = [work for work in results.works if work.name in OVERVIEW]
    rows = [["", *(f"{work.title} [{work.unit}]" for work in chosen)]]
    return rows + [[peer, *(_figure(results, work, peer) for work in chosen)] for peer in results.peers]


def _figure(results: Results, work: Work, peer: str) -> str:
    value = results.median(work.name, peer)
    if value is None and results.errors(work.name, peer):
        return "failed"
    return number(value)


def details(results: Results, work: Work) -> Rows:
    """One row for each peer: median, range, ratio, calls, CPU for each call."""
    rows = [
        ["", work.unit, "range", "nbtasks is better by", "calls", "CPU µs/call: client", "workers", "server"]
    ]
    for peer in results.peers:
        figures = results.measured(work.name, peer)
        if figures:
            rows.append([peer, *_detail(results, work, peer, figures)])
        elif errors := results.errors(work.name, peer):
            rows.append([peer, "failed: " + errors[-1].splitlines()[0][:100], *[NOTHING] * 6])
    return rows


def _detail(results: Results, work: Work, peer: str, figures: list[dict]) -> list[str]:
    values = [figure["value"] for figure in figures]
    ratio = results.ratio(work, peer)
    cpu = results.cpu_us(work.name, peer)
    return [
        number(results.median(work.name, peer)),
        f"{number(min(values))} to {number(max(values))}",
        NOTHING if ratio is None or peer == "nbtasks" else f"{number(ratio)}×",
        f"{figures[-1]['calls']:,}",
        *(number(cpu.get(role)) for role in ("client", "workers", "server")),
    ]


def extras(results: Results, work: Work) -> Rows:
    """What a work tells beside its figure, from the last round: its rows, or one row for each peer."""
    found = {
        peer: results.measured(work.name, peer)[-1]["details"]
        for peer in results.peers
        if results.measured(work.name, peer)
    }
    own = next((facts["rows"] for facts in found.values() if "rows" in facts), None)
    if own:
        return [list(own[0]), *([number(value) for value in row.values()] for row in own)]
    names = [
        name for facts in found.values() for name, value in facts.items() if isinstance(value, (int, float))
    ]
    names = list(dict.fromkeys(names))
    if not names:
        return []
    return [
        ["", *names],
        *([peer, *(number(facts.get(name)) for name in names)] for peer, facts in found.items()),
    ]


def versions(results: Results) -> Rows:
    rows = [["peer", "versions", "bulk call", "caveats"]]
    for name in results.peers:
        peer = peers.find(name)
        named = ", ".join(
            f"{package} {version}" for package, version in results.versions.get(name, {}).items()
        )
        rows.append([name, named or NOTHING, f"`{peer.bulk}`", " ".join(peer.caveats)])
    rows += [[name, "not installable here: " + why, "", ""] for name, why in results.not_installed.items()]
    return rows


# --- Markdown -----------------------------------------------------------------------------------------------


def as_markdown(rows: Rows) -> str:
    if not rows:
        return ""
    head, *body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *body]
    return "".join("| " + " | ".join(row) + " |\n" for row in lines)


def machine(results: Results) -> str:
    facts = results.machine
    rounds = 1 + max((cell["round"] for cell in results.cells), default=0)
    quick = " **Small counts: this run shows that all works, not how fast.**" if facts.get("quick") else ""
    return (
        f"{facts['date']}: {facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB, {facts['system']}, "
        f"Python {facts['python']}; {rounds} interleaved rounds, medians; load before the run {facts['load']}.{quick}\n"
    )


def details_text(results: Results) -> str:
    parts = []
    for work in results.works:
        parts.append(f"### {work.title} [{work.unit}]\n\n{as_markdown(details(results, work))}")
        if more := as_markdown(extras(results, work)):
            parts.append(more)
    return "\n".join(parts)


PARTS = {
    "machine": machine,
    "overview": lambda results: as_markdown(overview(results)),
    "details": details_text,
    "peers": lambda results: as_markdown(versions(results)),
}


def markdown(results: Results) -> str:
    """Return the whole report."""
    return "# Results\n\n" + "\n".join(part(results) for part in PARTS.values())


def fill(path: Path, results: Results) -> None:
    """Put the parts that a file asks for between its markers."""
    for name, part in PARTS.items():
        fill_part(path, name, part(results))


def fill_part(path: Path, name: str, written: str) -> None:
    """Put one part between its markers, where a file has them."""
    pattern = re.compile(rf"(<!-- bench:{name} -->\n).*?(<!-- /bench:{name} -->)", re.DOTALL)
    text = path.read_text(encoding="utf-8")
    path.write_text(pattern.sub(lambda found: f"{found[1]}\n{written}\n{found[2]}", text), encoding="utf-8")


# --- the terminal -------------------------------------------------------------------------------------------


def show(results: Results) -> None:
    """Print everything."""
    console = _console()
    console.print(machine(results))
    _, *rows = overview(results)
    short = ["", *(f"{work.name} [{work.unit}]" for work in results.works if work.name in OVERVIEW)]
    print_table([short, *rows], "All peers, medians")
    for work in results.works:
        print_table(details(results, work), f"{work.title} [{work.unit}]")
        print_table(extras(results, work), "")
    for name, why in results.not_installed.items():
        console.print(f"{name}: not installable here: {why}")


def print_table(rows: Rows, title: str) -> None:
    if len(rows) < 2:
        return
    table = Table(title=escape(title), title_justify="left")
    for i, head in enumerate(rows[0]):
        table.add_column(escape(head), justify="right" if i else "left")
    for row in rows[1:]:
        table.add_row(*map(escape, row))
    _console().print(table)


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=150)
