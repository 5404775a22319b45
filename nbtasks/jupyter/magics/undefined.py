"""Names that a task cell reads somewhere and nobody defines anywhere: it fails there, if it gets there. Pure.

Other than what unbound.py finds these are no certain failures: the line may never be reached, and a library may bring
a name in. So they are told, and nothing is refused for them. Where a cell makes names as it runs, nothing is told.
"""

from __future__ import annotations

import ast
import builtins
import copy
import dis
import re
import symtable
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import CodeType, FunctionType
from typing import Any

#: What reads these may make names of any kind.
_MAKERS = frozenset(
    {"exec", "eval", "compile", "dir", "globals", "locals", "vars", "setattr", "builtins", "get_ipython", "__dict__",
     "__builtins__", "__import__", "import_module", "gettext", "modules"}
)  # fmt: skip
#: What Python and IPython have themselves: ``__name__``, ``_``, ``_3``, ``_i``.
_THEIRS = re.compile(r"__\w+__|_+\d*|_i+\d*")
_CATCHERS = frozenset({"NameError", "Exception", "BaseException"})


def never_defined(
    body: Sequence[ast.stmt], bound: Iterable[str], namespace: Mapping[str, Any]
) -> list[ast.Name]:
    """Return where names are read first that nobody defines, in the order of the lines.

    Args:
        body: of the cell.
        bound: names that it binds in its own scope.
        namespace: the notebook's.
    """
    if any(_makes_names(node) for statement in body for node in ast.walk(statement)):
        return []
    looked_at = [_Certain().visit(copy.deepcopy(statement)) for statement in body]
    try:
        read, defined = _globals_of(_table(looked_at))
    except (SyntaxError, ValueError, RecursionError):
        # It is for who compiles it to say what is wrong with it.
        return []
    missing = read.difference(defined, bound, namespace, dir(builtins))
    missing = {name for name in missing if not _THEIRS.fullmatch(name)}
    missing -= missing and _set_by_functions(namespace)
    first: dict[str, ast.Name] = {}
    for node in sorted(_names(looked_at), key=lambda node: (node.lineno, node.col_offset)):
        if node.id in missing:
            first.setdefault(node.id, node)
    return list(first.values())


def _makes_names(node: ast.AST) -> bool:
    said: tuple[str, ...] = (getattr(node, "id", ""), getattr(node, "attr", ""), getattr(node, "module", ""))
    if isinstance(node, ast.Import | ast.ImportFrom):
        said += tuple(alias.name for alias in node.names)
    return "*" in said or not _MAKERS.isdisjoint(said)


class _Certain(ast.NodeTransformer):
    """Leaves out what may well be meant to fail, or is not evaluated: guarded blocks, annotations."""

    def visit_Try(self, node: ast.Try) -> ast.AST:
        if any(map(_catches_missing_names, node.handlers)):
            # Names that it binds are bound for what follows.
            node.body = [
                ast.copy_location(ast.Assign([ast.Name(name, ast.Store())], ast.Constant(None)), node)
                for name in _bound_in(node.body)
            ] or [ast.copy_location(ast.Pass(), node)]
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST:
        if "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = [ast.copy_location(ast.Pass(), node)]
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.copy_location(ast.Constant(None), node)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - as ast wants


def _catches_missing_names(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    return any(isinstance(node, ast.Name) and node.id in _CATCHERS for node in ast.walk(handler.type))


def _bound_in(body: Iterable[ast.AST]) -> set[str]:
    """Return all names that are bound anywhere in statements."""
    found: set[str] = set()
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                found.add(node.id)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                found.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(node.name)
    return found


def _table(body: Sequence[ast.stmt]) -> symtable.SymbolTable:
    definition = ast.parse("async def cell(): pass").body[0]
    assert isinstance(definition, ast.AsyncFunctionDef)
    definition.body = list(body)
    module = ast.fix_missing_locations(ast.Module([definition], []))
    return symtable.symtable(ast.unparse(module), "<task cell>", "exec").get_children()[0]


def _globals_of(table: symtable.SymbolTable) -> tuple[set[str], set[str]]:
    """Return the globals that are read in a scope and those within it, and those that are assigned there."""
    read, assigned = set(), set()
    for symbol in table.get_symbols():
        if symbol.is_global() and symbol.is_referenced():
            read.add(symbol.get_name())
        if symbol.is_declared_global() and symbol.is_assigned():
            assigned.add(symbol.get_name())
    for child in table.get_children():
        inner_read, inner_assigned = _globals_of(child)
        read |= inner_read
        assigned |= inner_assigned
    return read, assigned


def _set_by_functions(namespace: Mapping[str, Any]) -> set[str]:
    """Return the globals that the notebook's own functions assign: the cell may call them."""
    found: set[str] = set()
    for value in list(namespace.values()):
        function = (
            getattr(value, "function", value) if type(value).__module__.startswith("nbtasks") else value
        )
        if type(function) is FunctionType and function.__globals__ is namespace:
            found.update(_assigned_in(function.__code__))
    return found


def _assigned_in(code: CodeType) -> Iterator[str]:
    for step in dis.get_instructions(code):
        if step.opname == "STORE_GLOBAL":
            yield str(step.argval)
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _assigned_in(part)


def _names(body: Iterable[ast.stmt]) -> Iterator[ast.Name]:
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                yield node
