"""The page "Which broker?": each broker has its row in each of its tables."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "brokers.md"


def test_each_broker_has_its_row_in_each_table():
    tables = re.findall(r"^\| broker \|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", PAGE.read_text(), re.MULTILINE)
    named = [[row.split("|")[1].strip() for row in table.splitlines()] for table in tables]
    assert len(named) == 3
    assert named[0] == named[1] == named[2]
