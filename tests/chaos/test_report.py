"""The tables of the matrix: runs are added up, and what was not run now stays."""

from __future__ import annotations

from dataclasses import replace

from .report import BEGIN, END, Row, rewrite

KILL = Row("kill", "postgresql-15", 1, 2, 1000, 1002, 0, 0, 0, 0.25, 5.0)
OLD = f"""# Page

{BEGIN}

| fault | server | runs | faults | calls | executions | lost | changed | doubled | recovery | promised |
|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|
| cut | sqlite | 3 | 1,500 | 2,000 | 2,004 | 0 | 0 | 0 | 1.5 s | 5 s |
| kill | postgresql-15 | 9 | 9 | 9 | 9 | 9 | 9 | 9 | 9 s | 9 s |

{END}

The end.
"""
NEW = f"""# Page

{BEGIN}

| broker | rows | runs | faults | calls | executions | lost | changed | doubled | slowest recovery |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|
| PostgreSQL | 2 | 3 | 5 | 2,100 | 2,104 | 0 | 0 | 1 | 2.5 s |
| SQLite | 1 | 3 | 1,500 | 2,000 | 2,004 | 0 | 0 | 0 | 1.5 s |

### PostgreSQL

| fault | server | runs | faults | calls | executions | lost | changed | doubled | recovery | promised |
|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|
| kill | postgresql-15 | 2 | 4 | 2,000 | 2,004 | 0 | 0 | 1 | 2.5 s | 5 s |
| leave | postgresql | 1 | 1 | 100 | 100 | 0 | 0 | 0 |  |  |

### SQLite

| fault | server | runs | faults | calls | executions | lost | changed | doubled | recovery | promised |
|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|
| cut | sqlite | 3 | 1,500 | 2,000 | 2,004 | 0 | 0 | 0 | 1.5 s | 5 s |

{END}

The end.
"""


def test_runs_are_added_up_for_each_fault_and_each_broker(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(OLD)
    runs = [
        KILL,
        replace(KILL, doubled=1, recovery_s=2.5),
        Row("leave", "postgresql", 1, 1, 100, 100, 0, 0, 0),
    ]
    rewrite(page, runs)
    assert page.read_text() == NEW
    rewrite(page, [])
    assert page.read_text() == NEW
