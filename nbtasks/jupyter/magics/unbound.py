"""Names that a task cell surely reads before anything could have made them. Pure.

Only what is certain counts: the statements are followed in order, up to the first thing that runs other code, which may
define names or end the cell in another way.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any


def read_for_certain(body: Sequence[ast.stmt], is_loaded: Callable[[str], bool]) -> Iterator[ast.Name]:
    """Yield the names that are read before any other code runs, in order.

    Args:
        is_loaded: whether a module of this name was imported here already, so that to import it again does nothing.
    """
    reading = _Reading(is_loaded)
    try:
        for statement in body:
            yield from reading.statement(statement)
    except _RunsCodeError:
        return


_Parts = Callable[[Any], Iterable[ast.expr | None]]
#: Of expressions that run no other code: what is evaluated, in order.
_PARTS: dict[type[ast.expr], _Parts] = {
    ast.Constant: lambda _: [],
    ast.Lambda: lambda node: [*node.args.defaults, *node.args.kw_defaults],
    ast.Attribute: lambda node: [node.value],
    ast.Starred: lambda node: [node.value],
    ast.NamedExpr: lambda node: [node.value],
    ast.UnaryOp: lambda node: [node.operand],
    ast.BinOp: lambda node: [node.left, node.right],
    ast.Subscript: lambda node: [node.value, node.slice],
    ast.Tuple: lambda node: node.elts,
    ast.List: lambda node: node.elts,
    ast.Set: lambda node: node.elts,
    ast.Dict: lambda node: [part for pair in zip(node.keys, node.values, strict=True) for part in pair],
}
#: Of the others: what is evaluated before that code, or for certain.
_FIRST_PARTS: dict[type[ast.expr], _Parts] = {
    ast.Call: lambda node: [node.func, *node.args, *(keyword.value for keyword in node.keywords)],
    ast.Compare: lambda node: [node.left, node.comparators[0]],
    ast.BoolOp: lambda node: node.values[:1],
    ast.IfExp: lambda node: [node.test],
    ast.ListComp: lambda node: [node.generators[0].iter],
    ast.SetComp: lambda node: [node.generators[0].iter],
    ast.DictComp: lambda node: [node.generators[0].iter],
}


class _RunsCodeError(Exception):
    """From here on nothing is certain."""


class _Reading:
    def __init__(self, is_loaded: Callable[[str], bool]) -> None:
        self._is_loaded = is_loaded

    def statement(self, node: ast.stmt) -> Iterator[ast.Name]:
        """Yield what a statement reads."""
        if isinstance(node, ast.Assign | ast.Expr | ast.Return):
            yield from self.several([node.value] if node.value else [])
            if isinstance(node, ast.Assign) and not all(_is_plain(target) for target in node.targets):
                raise _RunsCodeError
        elif isinstance(node, ast.If | ast.While):
            yield from self.then_unsure([node.test])
        elif isinstance(node, ast.For):
            yield from self.then_unsure([node.iter])
        elif isinstance(node, ast.With):
            yield from self.then_unsure([node.items[0].context_expr])
        elif isinstance(node, ast.Import):
            self._import(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            self._import([node.module or ""])
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.decorator_list or node.args.defaults or node.args.kw_defaults:
                raise _RunsCodeError
        elif not isinstance(node, ast.Pass | ast.Global):
            raise _RunsCodeError
        if isinstance(node, ast.Return):
            raise _RunsCodeError

    def several(self, nodes: Iterable[ast.expr | None]) -> Iterator[ast.Name]:
        """Yield what expressions read one after the other."""
        for node in nodes:
            if node is not None:
                yield from self.expression(node)

    def then_unsure(self, nodes: Iterable[ast.expr | None]) -> Iterator[ast.Name]:
        """Yield what is read by expressions after which nothing is certain."""
        yield from self.several(nodes)
        raise _RunsCodeError

    def expression(self, node: ast.expr) -> Iterator[ast.Name]:
        """Yield what an expression reads, as far as it is evaluated for certain."""
        kind = type(node)
        if isinstance(node, ast.Name):
            yield node
        elif kind in _PARTS:
            yield from self.several(_PARTS[kind](node))
        elif kind in _FIRST_PARTS:
            yield from self.then_unsure(_FIRST_PARTS[kind](node))
        else:
            raise _RunsCodeError

    def _import(self, names: Iterable[str]) -> None:
        if not all(map(self._is_loaded, names)):
            raise _RunsCodeError


def _is_plain(target: ast.expr) -> bool:
    """Whether to assign to it is to bind a name."""
    return isinstance(target, ast.Name)
