"""Which names a piece of code binds, and which of them it may read before it has bound them. Pure.

A name that a task cell assigns is captured only where the cell may read the notebook's value first:
``df = load(); df.sum()`` does not ship an old ``df``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SCOPES = (*_FUNCTIONS, ast.ClassDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_JUMPS = (ast.Return, ast.Raise, ast.Break, ast.Continue)


def bound_names(body: Iterable[ast.AST]) -> set[str]:
    """Return the names that ``body`` binds in its own scope, but not those that it declares to be another's."""
    bound: set[str] = set()
    elsewhere: set[str] = set()
    for node in own_nodes(body):
        if isinstance(node, ast.Global | ast.Nonlocal):
            elsewhere.update(node.names)
        else:
            bound.update(_bindings(node))
    return bound - elsewhere


def read_before_bound(body: Sequence[ast.stmt], known: Iterable[str] = ()) -> set[str]:
    """Return the names of :func:`bound_names` that ``body`` may read before it binds them.

    Args:
        body: statements of one scope.
        known: names that are bound from the start.
    """
    flow = _Flow(bound_names(body) - set(known))
    flow.block(body, frozenset())
    return flow.exposed


def own_nodes(body: Iterable[ast.AST]) -> Iterable[ast.AST]:
    """Yield the nodes of ``body`` that run in its own scope: nested functions, not what is in them."""
    for node in body:
        yield node
        if isinstance(node, _SCOPES):
            yield from own_nodes(_evaluated_outside(node))
        elif isinstance(node, _COMPREHENSIONS):
            yield from (_Walrus(part) for part in ast.walk(node) if isinstance(part, ast.NamedExpr))
            yield from own_nodes([node.generators[0].iter])
        else:
            yield from own_nodes(ast.iter_child_nodes(node))


class _Walrus(ast.AST):
    """A ``:=`` in a comprehension: it binds its name in the scope around."""

    def __init__(self, node: ast.NamedExpr) -> None:
        self.name = node.target.id


def _bindings(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Name):
        return [] if isinstance(node.ctx, ast.Load) else [node.id]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.MatchMapping):
        return [node.rest] if node.rest else []
    if isinstance(node, (*_FUNCTIONS, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar, _Walrus)):
        return [node.name] if node.name else []
    return []


def _evaluated_outside(node: ast.AST) -> list[ast.AST]:
    """Return what of a function or class is evaluated where it stands: decorators, defaults, bases."""
    outside: list[ast.AST] = list(getattr(node, "decorator_list", ()))
    if isinstance(node, ast.ClassDef):
        outside += [*node.bases, *(keyword.value for keyword in node.keywords)]
    elif isinstance(node, (*_FUNCTIONS, ast.Lambda)):
        outside += [default for default in (*node.args.defaults, *node.args.kw_defaults) if default]
    return outside


def _reads(node: ast.AST) -> set[str]:
    """Return the names that ``node`` may read from the scope around it, now or in a later call."""
    if isinstance(node, ast.Name):
        return set() if isinstance(node.ctx, ast.Store) else {node.id}
    if isinstance(node, ast.AugAssign):
        target = {node.target.id} if isinstance(node.target, ast.Name) else _reads(node.target)
        return target | _reads(node.value)
    if isinstance(node, (*_FUNCTIONS, ast.Lambda)):
        body = node.body if isinstance(node.body, list) else [node.body]
        inner = set().union(*map(_reads, body)) - _parameters(node.args) - bound_names(body)
        return inner.union(*map(_reads, _evaluated_outside(node)))
    children = set().union(*map(_reads, ast.iter_child_nodes(node)))
    if isinstance(node, _COMPREHENSIONS):
        targets = bound_names(generator.target for generator in node.generators)
        return (children - targets) | _reads(node.generators[0].iter)
    return children


def _parameters(arguments: ast.arguments) -> set[str]:
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    return {argument.arg for argument in every}


def _surely_bound(node: ast.stmt) -> Sequence[ast.AST]:
    """Return the parts of a simple statement that surely bind when it has run: not a walrus."""
    if isinstance(node, ast.Assign):
        return node.targets
    if isinstance(node, ast.AugAssign) or (isinstance(node, ast.AnnAssign) and node.value):
        return [node.target]
    return [] if isinstance(node, ast.Expr | ast.AnnAssign) else [node]


class _Flow:
    """Walk statements in order and note the local names read while they may still be unbound."""

    def __init__(self, local: set[str]) -> None:
        self.local = frozenset(local)
        self.exposed: set[str] = set()

    def block(self, body: Sequence[ast.stmt], bound: frozenset[str]) -> frozenset[str]:
        """Return the names that are surely bound after ``body``, given those bound before it."""
        for statement in body:
            bound = self._statement(statement, bound)
        return bound

    def _statement(self, node: ast.stmt, bound: frozenset[str]) -> frozenset[str]:
        # By name: ``try ... except*`` has a class of its own, from Python 3.11 on.
        kind = type(node).__name__.removeprefix("Async").lower()
        walk = getattr(self, f"_{kind}", self._simple)
        after: frozenset[str] = walk(node, bound)
        return after

    def _simple(self, node: ast.stmt, bound: frozenset[str]) -> frozenset[str]:
        self._read(node, bound)
        if isinstance(node, _JUMPS):
            return self.local  # what follows is never reached from here
        if isinstance(node, ast.Delete):
            return bound - bound_names([node])
        return bound | bound_names(_surely_bound(node))

    def _if(self, node: ast.If, bound: frozenset[str]) -> frozenset[str]:
        self._read(node.test, bound)
        return self.block(node.body, bound) & self.block(node.orelse, bound)

    def _for(self, node: ast.For | ast.AsyncFor, bound: frozenset[str]) -> frozenset[str]:
        self._read(node.iter, bound)
        return self._loop(node, bound, bound | bound_names([node.target]))

    def _while(self, node: ast.While, bound: frozenset[str]) -> frozenset[str]:
        self._read(node.test, bound)
        return self._loop(node, bound, bound)

    def _loop(
        self, node: ast.For | ast.AsyncFor | ast.While, bound: frozenset[str], inside: frozenset[str]
    ) -> frozenset[str]:
        self.block(node.body, inside)
        self.block(node.orelse, bound)
        return bound  # the loop may run not once

    def _with(self, node: ast.With | ast.AsyncWith, bound: frozenset[str]) -> frozenset[str]:
        inside = bound
        for item in node.items:
            self._read(item, inside)
            inside |= bound_names([item])
        after = self.block(node.body, inside)
        # Only suppress() goes on after an error in the block; the others let it pass.
        return bound if "suppress" in ast.unparse(node.items[0].context_expr) else after

    def _try(self, node: ast.Try, bound: frozenset[str]) -> frozenset[str]:
        ends = [self.block(node.orelse, self.block(node.body, bound))]
        for handler in node.handlers:
            if handler.type:
                self._read(handler.type, bound)
            caught = bound | ({handler.name} if handler.name else set())
            ends.append(self.block(handler.body, caught))
        after = frozenset.intersection(*ends)
        return after | self.block(node.finalbody, bound)

    _trystar = _try

    def _match(self, node: ast.Match, bound: frozenset[str]) -> frozenset[str]:
        self._read(node.subject, bound)
        ends = [bound]
        for case in node.cases:
            self._read(case.pattern, bound)
            inside = bound | bound_names([case.pattern])
            if case.guard:
                self._read(case.guard, inside)
            ends.append(self.block(case.body, inside))
        return frozenset.intersection(*ends)

    def _read(self, node: ast.AST, bound: frozenset[str]) -> None:
        self.exposed |= (_reads(node) & self.local) - bound
