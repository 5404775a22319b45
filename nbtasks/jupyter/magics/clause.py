"""Cut the ``for`` clause off the raw text of a ``%%task`` or ``%task`` line.

It is cut before the options are split, because splitting strips the quotes of ``for u in df["url"]``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any

from nbtasks.core.errors import CellError

#: What tracebacks call the clause.
CLAUSE_FILE = "<for clause>"
_OPENERS, _CLOSERS = "([{", ")]}"


@dataclass(frozen=True)
class ForClause:
    """``for TARGET in EXPR [for ...] [if COND]``: which names an item has, and where the items come from."""

    #: As written, for messages and labels.
    text: str
    #: The names that TARGET binds, in order of appearance.
    names: tuple[str, ...]
    _items: CodeType

    def items(self, namespace: dict[str, Any]) -> Iterator[Any]:
        """Evaluate EXPR in ``namespace`` now, and yield items as asked for: tuples for several names."""
        # The clause is the user's own code, typed into their own kernel.
        return iter(eval(self._items, namespace))  # noqa: S307


def split_clause(line: str) -> tuple[str, ForClause | None]:
    """Return the text before the ``for`` clause without its trailing comment, and the clause if there is one.

    Raises:
        CellError: there is a bare word ``for`` that begins no valid clause.
    """
    clause, comment = _scan(line)
    if clause is None:
        return line[:comment].rstrip(), None
    return line[:clause].rstrip(), _parse(line[clause:].strip())


def _scan(line: str) -> tuple[int | None, int]:
    """Return where a ``for`` outside quotes and brackets is, and where the comment before it begins."""
    quote, depth, position = "", 0, 0
    while position < len(line):
        char = line[position]
        if char == "\\":
            # What follows is only itself, as for a shell.
            position += 1
        elif quote:
            if char == quote:
                quote = ""
        elif char in "'\"":
            quote = char
        elif char in _OPENERS:
            depth += 1
        elif char in _CLOSERS:
            depth -= 1
        elif _begins_word(line, position):
            if char == "#":
                return None, position
            if depth <= 0 and line[position : position + 3] == "for" and _ends_word(line, position + 3):
                return position, position
        position += 1
    return None, len(line)


def _begins_word(line: str, position: int) -> bool:
    return position == 0 or line[position - 1].isspace()


def _ends_word(line: str, position: int) -> bool:
    return position == len(line) or line[position].isspace() or line[position] in _OPENERS


def _parse(text: str) -> ForClause:
    try:
        # The line break keeps a trailing comment from swallowing the bracket.
        parsed = ast.parse(f"[None {text}\n]", CLAUSE_FILE, mode="eval").body
    except SyntaxError as problem:
        raise CellError(_as_statement(text) or _unreadable(text, str(problem.msg))) from None
    if not isinstance(parsed, ast.ListComp) or not isinstance(parsed.elt, ast.Constant):
        raise CellError(_unreadable(text, "it is not one clause"))
    if any(part.is_async for part in parsed.generators):
        raise CellError(
            f"{text!r}: `async for` is not possible here; collect the items first, then `for x in items`"
        )
    names = _target_names(parsed.generators, text)
    shown = ast.unparse(parsed)[len("[None ") : -1]
    return ForClause(shown, names, _compile_items(names, parsed.generators))


def _as_statement(text: str) -> str | None:
    """Return what to change of a text that is a clause but for what only a ``for`` statement has."""
    plain = text.partition("#")[0].rstrip()
    clause = plain.removesuffix(":").rstrip()
    if clause != plain and _is_python(f"[None {clause}]"):
        return f"{text!r}: leave out the colon, `{clause}`"
    if not _is_python(f"{clause}: pass"):
        return None
    loop = ast.parse(f"{clause}: pass").body[0]
    if not isinstance(loop, ast.For) or not isinstance(loop.iter, ast.Tuple):
        return None
    target = ast.unparse(loop.target).strip("()")
    return f"{text!r}: put brackets around the items, `for {target} in {ast.unparse(loop.iter)}`"


def _is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def _unreadable(text: str, reason: str) -> str:
    return (
        f"cannot read {text!r} as a for clause ({reason}); write `for NAME in EXPR`, "
        "or put quotes around it if it belongs to an option"
    )


def _target_names(generators: list[ast.comprehension], text: str) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for generator in generators:
        for node in ast.walk(generator.target):
            if isinstance(node, ast.Attribute | ast.Subscript):
                raise CellError(f"{text!r}: `{ast.unparse(node)}` cannot be an item's name; use plain names")
            if isinstance(node, ast.Name):
                names[node.id] = None
    if not names:
        raise CellError(f"{text!r} names nothing; write `for NAME in EXPR`")
    return tuple(names)


def _compile_items(names: tuple[str, ...], generators: list[ast.comprehension]) -> CodeType:
    loads: list[ast.expr] = [ast.Name(name, ast.Load()) for name in names]
    item = loads[0] if len(loads) == 1 else ast.Tuple(loads, ast.Load())
    tree = ast.Expression(ast.GeneratorExp(item, generators))
    return compile(ast.fix_missing_locations(tree), CLAUSE_FILE, "eval")
