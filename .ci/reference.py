#!/usr/bin/env python3
"""Makes docs/reference.md of the docstrings. ``make format`` writes it, ``make lint`` looks whether it is up to date.

Usage: reference.py [--check]
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click

import nbtasks
from nbtasks.cli.command import nbtasks as command
from nbtasks.core import keywords
from nbtasks.core.errors import NbtasksError
from nbtasks.jupyter.magics.flags import ACTIONS
from nbtasks.jupyter.magics.magics import TaskMagics

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference.md"
HEAD = """# Reference

Made from the docstrings, which `name?` shows in a notebook. Times are seconds or texts such as `90s`, `5m`, `1h30m`.
"""
CLASSES = ("App", "Task", "AsyncResult", "GroupResult", "RunList", "EagerResult", "RichOutput", "ProgressBar")
FUNCTIONS = ("task", "current_call", "progress", "track")
OPTIONS = {
    "of a task: `@task(...)`, `with_options(...)`": keywords.TaskKeywords,
    "of a call: `apply_async(...)`": keywords.CallKeywords,
    "of a map: `map(...)`, `starmap(...)`": keywords.MapKeywords,
    "of workers: `start_workers(...)`": keywords.WorkerKeywords,
}


def page() -> str:
    """Return the whole page."""
    parts = [HEAD, "## Magics", *magics(), "## Options", *options()]
    for name in CLASSES:
        parts += [f"## {name}", *of_class(getattr(nbtasks, name))]
    parts += ["## Functions", *(of_function(name, getattr(nbtasks, name), "###") for name in FUNCTIONS)]
    parts += ["## Errors", "All descend from `NbtasksError`.", "\n".join(errors(NbtasksError))]
    parts += ["## Command line", *commands()]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def fenced(text: str) -> str:
    """Return a text as it stands."""
    return f"```text\n{text.rstrip()}\n```"


def magics() -> Iterator[str]:
    """Yield what each magic says, and the options of a task cell."""
    for name in ("task", "tasks", "workers"):
        yield f"### %{name}" if name != "task" else "### %%task and %task"
        said, _, _ = inspect.cleandoc(getattr(TaskMagics, name).__doc__).partition("\n\n-b, --block")
        yield fenced(said)
        if name == "task":
            yield table(
                (
                    ", ".join(action.option_strings) + (f" {action.metavar}" if action.metavar else ""),
                    action.help or "",
                )
                for action in ACTIONS
            )


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Return a table of options. Not as argparse and click would show them: each version of them does it otherwise."""
    lines = [f"| `{name}` | {text.replace('|', chr(92) + '|')} |" for name, text in rows]
    return "\n".join(["| option | meaning |", "|---|---|", *lines])


def options() -> Iterator[str]:
    """Yield a table for each kind of options."""
    for title, words in OPTIONS.items():
        yield f"### Options {title}"
        yield table(keywords.meanings(words).items())


def of_class(kind: type) -> Iterator[str]:
    """Yield what a class says of itself, and each of its public members."""
    yield prose(inspect.getdoc(kind) or "")
    for name, member in members(kind):
        if isinstance(member, property):
            yield f"### {kind.__name__}.{name}\n\n{prose(inspect.getdoc(member) or '')}"
        else:
            yield of_function(f"{kind.__name__}.{name}", member, "###")


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield the public members that say what they are for, as they stand in the class and those it is made of."""
    seen = set()
    for owner in kind.__mro__[:-1]:
        for name, member in vars(owner).items():
            inner = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
            shown = isinstance(inner, property) or inspect.isfunction(inner)
            if name.startswith("_") or name in seen or not shown or not inspect.getdoc(inner):
                continue
            seen.add(name)
            yield name, inner


def of_function(name: str, function: Callable[..., Any], level: str) -> str:
    """Return a function's signature and what it says."""
    said = inspect.getdoc(function) or ""
    own = said.partition("\n\nOptions:\n")[0]
    return f"{level} {name}{brackets(function)}\n\n{prose(own)}"


def brackets(function: Callable[..., Any]) -> str:
    """Return the parameters by name and default; options that have a table are dots."""
    said = []
    listed = "Options:" in (inspect.getdoc(function) or "")
    parameters = list(inspect.signature(function).parameters.values())
    for each in parameters:
        if each.name in {"self", "cls"}:
            continue
        if listed and each.kind is each.KEYWORD_ONLY:
            said.append("...")
            break
        name = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "") + each.name
        said.append(name if each.default is each.empty else f"{name}={each.default!r}")
    return f"({', '.join(said)})"


def prose(text: str) -> str:
    """Return a docstring as Markdown: its lists of arguments and errors become lists."""
    text = re.sub(r":(?:meth|class|attr):`~?\.?([\w.]+)`", r"`\1`", text).replace("``", "`")
    lines: list[str] = []
    in_list = False
    for line in text.splitlines():
        if re.fullmatch(r"(Args|Raises|Returns|Attributes|Yields):", line):
            lines += [f"**{line.rstrip(':')}**", ""]
            in_list = True
        elif in_list and (item := re.match(r"    (\S[^:]*): (.*)", line)) and not line.startswith("     "):
            lines.append(f"- `{item[1]}`: {item[2]}")
        else:
            in_list = in_list and (line.startswith(" ") or not line)
            lines.append(f"  {line.strip()}" if in_list and line else line)
    return "\n".join(lines)


def errors(kind: type, depth: int = 0) -> Iterator[str]:
    """Yield a class of errors and those below it, each with its first sentence."""
    if kind.__name__ in nbtasks.__all__:
        yield f"{'  ' * depth}- `{kind.__name__}`: {prose(kind.__doc__ or '').strip().splitlines()[0]}"
        for below in sorted(kind.__subclasses__(), key=lambda one: one.__name__):
            yield from errors(below, depth + 1)


def commands() -> Iterator[str]:
    """Yield what each command says, and its options."""
    for name, inner in sorted(command.commands.items()):
        if inner.hidden:
            # Celery's: who types them is told what to do instead.
            continue
        yield f"### nbtasks {name}"
        yield " ".join((inner.help or "").split())
        yield table(
            (", ".join(one.opts) + (f" {one.metavar}" if one.metavar else ""), one.help or "")
            for one in inner.params
            if isinstance(one, click.Option) and not one.hidden
        )


def main() -> None:
    """Write the page, or look at it."""
    made = page()
    if "--check" not in sys.argv:
        PAGE.write_text(made, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != made:
        sys.exit("docs/reference.md is not what the docstrings say now: make format")


main()
