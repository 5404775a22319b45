"""Counts clicks: calls only note them, and a periodic task adds up what has come together."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from nbtasks import App

app = App("click counter")
PAGES = ("/", "/news", "/about")


@contextlib.contextmanager
def database(path: str) -> Iterator[sqlite3.Connection]:
    """Open the database for one transaction."""
    with contextlib.closing(sqlite3.connect(path, timeout=30)) as connection, connection:
        yield connection


@app.task
def note_click(path: str, page: str) -> None:
    """Note one click, and nothing else."""
    with database(path) as connection:
        connection.execute("INSERT INTO clicks VALUES (?)", (page,))


@app.task
def process_clicks(path: str) -> int:
    """Add up what has come together since the last time; returns how many clicks that were."""
    with database(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        found = connection.execute("SELECT page, count(*) FROM clicks GROUP BY page").fetchall()
        for page, clicks in found:
            connection.execute(
                "INSERT INTO totals VALUES (?, ?) ON CONFLICT (page) DO UPDATE SET clicks = clicks + excluded.clicks",
                (page, clicks),
            )
        connection.execute("DELETE FROM clicks")
    return sum(clicks for _, clicks in found)


def totals(path: str) -> dict[str, int]:
    """Return the clicks of each page that were added up."""
    with database(path) as connection:
        return dict(connection.execute("SELECT page, clicks FROM totals"))


def main() -> None:
    """Click three hundred times."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "clicks.db")
        with database(path) as connection:
            connection.execute("CREATE TABLE clicks (page TEXT)")
            connection.execute("CREATE TABLE totals (page TEXT PRIMARY KEY, clicks INTEGER)")
        app.start_workers(2)
        processing = app.add_periodic_task(1.0, process_clicks.s(path), name="process clicks")
        for _ in range(300):
            note_click.delay(path, random.choice(PAGES))
        while sum(totals(path).values()) < 300:
            time.sleep(0.1)
        for page, clicks in sorted(totals(path).items()):
            print(f"{clicks:>5}  {page}")
        print(f"300 clicks, added up in {'one run' if processing.count == 1 else 'several runs'}")


if __name__ == "__main__":
    with app:
        main()
