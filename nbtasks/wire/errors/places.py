"""Frames that have raised at a wanted place, with wanted variables: what tracebacks and debuggers look at.

Python and IPython mark the failing expression by the instruction that has raised. IPython also checks whether such an
instruction can come of that expression. So a frame is made by an expression of the same kind, at the same place.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import CodeType, TracebackType
from typing import Any

#: Characters of an expression that are looked at.
_MOST_TEXT = 10_000
#: The name, in code that is made here, of what every operation fails with. Nobody else can have it.
_UNFIT = "<unfit>"


@dataclass(frozen=True)
class RaisedAt:
    """Where a frame has raised; columns are bytes, both 0 where they are not known."""

    file: str
    function: str
    first_line: int
    line: int
    end_line: int
    column: int
    end_column: int


def raised_at(
    place: RaisedAt, variables: Mapping[str, Any], others: Mapping[str, Any], after: TracebackType | None
) -> TracebackType:
    """Return the traceback of a frame that has raised at a place.

    Args:
        variables: its local ones.
        others: globals that it has read.
        after: the traceback of the frames that it has called.
    """
    there: dict[str, Any] = {"__name__": place.file, "__file__": place.file, _UNFIT: _Unfit()}
    own: dict[str, Any] = {}
    made = next(tb for stub in _stubs(place) if (tb := _run(_compiled(stub, place), there, own)) is not None)
    # Now, for with them it might not have raised.
    del there[_UNFIT]
    there |= others
    own |= variables
    return TracebackType(after, made.tb_frame, made.tb_lasti, place.line)


def _run(code: CodeType, there: dict[str, Any], own: dict[str, Any]) -> TracebackType | None:
    try:
        exec(code, there, own)
    except Exception as raised:
        here = raised.__traceback__
        return here.tb_next if here is not None else None
    return None


class _Unfit(Exception):
    """Every operation with it fails: those of Python's that an exception does not have anyway, and these."""

    def _fail(self, *_: object) -> bool:
        raise self

    __eq__ = __ne__ = __contains__ = __bool__ = _fail
    __hash__ = None  # type: ignore[assignment]


def _stubs(place: RaisedAt) -> list[ast.stmt]:
    """Return what may be run for a frame; the last one surely raises."""
    raising = ast.Raise(_unfit(), None)
    text, before = _text(place)
    found = _parsed(text) if text else None
    if isinstance(found, ast.Name) and before.rstrip().endswith("."):
        # Of an attribute on a line of its own Python keeps only the name.
        found = ast.Attribute(found, found.id, ast.Load())
    kind = _KINDS.get(type(found)) if found is not None else None
    made = kind(found) if kind is not None else None
    if made is None:
        return [raising]
    return [made if isinstance(made, ast.stmt) else ast.Expr(made), raising]


def _text(place: RaisedAt) -> tuple[str, str]:
    """Return the source text that has failed, empty where it is not known, and what stands before it on its line."""
    if place.end_column <= 0 or place.end_line < place.line:
        return "", ""
    lines = [line.encode() for line in linecache.getlines(place.file)[place.line - 1 : place.end_line]]
    if len(lines) != place.end_line - place.line + 1:
        return "", ""
    before = lines[0][: place.column]
    lines[-1] = lines[-1][: place.end_column]
    lines[0] = lines[0][place.column :]
    return b"".join(lines)[:_MOST_TEXT].decode(errors="replace"), before.decode(errors="replace")


def _parsed(text: str) -> ast.AST | None:
    try:
        return ast.parse(f"({text}\n)", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pass
    try:
        body = ast.parse(text).body
        return body[0] if len(body) == 1 else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _unfit() -> ast.Name:
    return ast.Name(_UNFIT, ast.Load())


_Made = Callable[[Any], "ast.expr | ast.stmt"]
#: What fails as an expression of its kind does.
_KINDS: dict[type[ast.AST], _Made] = {
    ast.Call: lambda _: ast.Call(_unfit(), [], []),
    ast.BinOp: lambda node: ast.BinOp(_unfit(), node.op, _unfit()),
    ast.UnaryOp: lambda node: ast.UnaryOp(node.op, _unfit()),
    ast.Compare: lambda node: ast.Compare(_unfit(), node.ops[:1], [_unfit()]),
    ast.Subscript: lambda _: ast.Subscript(_unfit(), _unfit(), ast.Load()),
    ast.Attribute: lambda node: ast.Attribute(_unfit(), node.attr, ast.Load()),
    ast.Name: lambda node: ast.Name(node.id, ast.Load()),
    ast.AugAssign: lambda node: ast.AugAssign(ast.Name(_UNFIT, ast.Store()), node.op, _unfit()),
    ast.For: lambda _: ast.For(ast.Name(_UNFIT, ast.Store()), _unfit(), [ast.Pass()], []),
    ast.With: lambda _: ast.With([ast.withitem(_unfit())], [ast.Pass()]),
    # Up to Python 3.11 they are functions that are called.
    **dict.fromkeys((ast.ListComp, ast.SetComp, ast.DictComp), lambda _: ast.Call(_unfit(), [], [])),
}


def _compiled(stub: ast.stmt, place: RaisedAt) -> CodeType:
    # A function may begin after a line of its own that fails, as comprehensions do: count from the lower one.
    first = min(place.first_line, place.line)
    where = {
        "lineno": place.line - first + 1,
        "end_lineno": place.end_line - first + 1,
        "col_offset": place.column,
        "end_col_offset": place.end_column,
    }
    for node in ast.walk(stub):
        for name, value in where.items():
            setattr(node, name, value)
    code = compile(ast.Module([stub], []), place.file, "exec")
    changes: dict[str, Any] = {"co_name": place.function, "co_firstlineno": first}
    if hasattr(code, "co_qualname"):
        changes["co_qualname"] = place.function
    return code.replace(**changes)
