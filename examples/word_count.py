"""Counts the words of the files that are named, or of Python's own modules: a map, with results as they come."""

from __future__ import annotations

import collections
import re
import sys
from pathlib import Path

from nbtasks import App

app = App("word count")


@app.task
def count(path: str) -> collections.Counter[str]:
    """Return how often each word stands in a file."""
    return collections.Counter(re.findall(r"[a-z]{4,}", Path(path).read_text("utf-8", "replace").lower()))


def main() -> None:
    """Print the most frequent words."""
    files = sys.argv[1:] or [str(path) for path in sorted(Path(re.__file__).parent.parent.glob("*.py"))[:40]]
    app.start_workers(2)
    total: collections.Counter[str] = collections.Counter()
    for call in count.map(files).as_completed():
        total += call.get()
    print(f"{len(files)} files, {total.total():,} words")
    for word, times in total.most_common(5):
        print(f"{times:>8,}  {word}")


if __name__ == "__main__":
    with app:
        main()
