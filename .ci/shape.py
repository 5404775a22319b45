#!/usr/bin/env python3
"""Looks at the shape of nbtasks/: what grows too large, and names that stand twice. ``make lint`` calls it.

How complex one function may be is in pyproject.toml, for ruff looks at that.
"""

from __future__ import annotations

import ast
import collections
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

MOST_LINES = 500
MOST_ATTRIBUTES = 25
#: Files that may be longer, each with its reason.
MOST_LONG_FILES = 3
LONG_FILES: dict[str, str] = {}
#: Python gives these names.
EVERYWHERE = {"__init__.py", "__main__.py"}


class Shape:
    """The files below a folder, and the classes in them; names are relative to the folder above."""

    def __init__(self, folder: Path) -> None:
        self.files = {
            path.relative_to(folder.parent).as_posix(): path
            for path in sorted(folder.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }
        self.classes = [
            (name, node)
            for name, path in self.files.items()
            if path.suffix == ".py"
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ClassDef)
        ]

    def long_files(self) -> Iterator[tuple[str, str]]:
        """Yield files with too many lines, and what is wrong with each."""
        for name, path in self.files.items():
            lines = len(path.read_bytes().splitlines())
            if lines > MOST_LINES:
                yield (
                    name,
                    f"{name} has {lines} lines: split it along its concepts, {MOST_LINES} are the most",
                )

    def large_classes(self) -> Iterator[tuple[str, str]]:
        """Yield classes that keep too much in self, and what is wrong with each."""
        for name, node in self.classes:
            count = len(attributes(node))
            if count > MOST_ATTRIBUTES:
                where = f"{name}: {node.name}"
                yield where, f"{where} sets {count} attributes of self: {MOST_ATTRIBUTES} are the most"

    def twins(self) -> Iterator[str]:
        """Yield what is wrong with names that stand twice.

        What lies in the folder itself is called as users import it, so it counts as another word.
        """
        inner = {name: path for name, path in self.files.items() if name.count("/") > 1}
        places = [(path.name, name) for name, path in inner.items() if path.name not in EVERYWHERE]
        places += [(node.name, name) for name, node in self.classes if not node.name.startswith("_")]
        found = collections.defaultdict(list)
        for word, place in places:
            found[word].append(place)
        for word, those in found.items():
            if len(those) > 1:
                yield f"{word} stands {len(those)} times: {', '.join(those)}; rename all but one to what they are"


def attributes(node: ast.ClassDef) -> set[str]:
    """Return the attributes of self that a class sets, not those of classes inside it."""
    found: set[str] = set()
    waiting: list[ast.AST] = list(ast.iter_child_nodes(node))
    while waiting:
        part = waiting.pop()
        if isinstance(part, ast.ClassDef):
            continue
        match part:
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                found.add(name)
        waiting += ast.iter_child_nodes(part)
    return found


def complaints(shape: Shape) -> Iterator[str]:
    """Yield what is wrong, each in a sentence."""
    large = dict([*shape.long_files(), *shape.large_classes()])
    yield from (text for name, text in large.items() if name not in LONG_FILES)
    yield from needless(large)
    yield from shape.twins()
    if len(LONG_FILES) > MOST_LONG_FILES:
        yield f"{len(LONG_FILES)} files may be too long for good: {MOST_LONG_FILES} are the most"


def needless(large: Iterable[str]) -> Iterator[str]:
    """Yield exceptions that nothing needs any more."""
    for name in sorted(set(LONG_FILES) - set(large)):
        yield f"{name} is not too large: take it off the exceptions in .ci/shape.py"


def main() -> None:
    """Look at the folder that is named, by default nbtasks/; what is wrong ends the program with 1."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent / "nbtasks"
    found = list(complaints(Shape(folder)))
    sys.exit("\n".join(found) or None)


if __name__ == "__main__":
    main()
