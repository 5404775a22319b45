"""Turn the source of a ``%%task`` cell into a function. Pure: nothing is run, no notebook is needed.

The body becomes the body of a function, so ``return`` and ``await`` work, but its names are globals, as they are in a
cell: what it assigns is what the notebook's functions and its own classes read. It is meant to be called in another
process, where function and globals are copies that one call has for itself: nothing that it assigns reaches the
notebook. What it may read before it assigns it travels with it; what it surely assigns first does not.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import copy
import difflib
import inspect
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

from nbtasks.core.errors import CellError
from nbtasks.core.globals import declare

from .names import bound_names, own_nodes, read_before_bound
from .unbound import read_for_certain
from .undefined import never_defined

_FUNCTION = "cell"
#: A cell evaluates its annotations when it is run.
_EVALUATED = sys.version_info < (3, 14)
#: Begins the qualified names of what is made in its body; Python before 3.11 has them among the constants.
_INSIDE = f"{_FUNCTION}.<locals>."
_ASYNC_NODES = (ast.Await, ast.AsyncFor, ast.AsyncWith)
_LABEL_LENGTH = 80
#: What a worker's copy of the notebook has besides what `builtins` has, too.
_OF_A_MODULE = ("__builtins__",)
#: Where a cell keeps the annotations of the names that it assigns.
_ANNOTATIONS = "__annotations__"
_NO_LABEL = re.compile(r"^(!|%%|-\*-|fmt:|noqa|type:|pylint:|ruff:|mypy:)")


@dataclass(frozen=True)
class Cell:
    """A task cell, read and checked."""

    #: The whole cell, the magic's line as a comment: line numbers are those that its author sees.
    source: str
    #: From the first comment, else the first function called, else empty.
    label: str
    #: Parameters that the ``for`` clause fills, in its order.
    items: tuple[str, ...]
    #: Names the body assigns and may read before it does: of these the notebook's value is captured.
    captured: tuple[str, ...]
    #: Names whose values are wanted (``-g``).
    outputs: tuple[str, ...]
    #: Whether the outputs are assigned in the body; if not, there is one and it is the last expression.
    returns_outputs: bool
    #: Whether the body ends with an expression.
    has_result: bool
    #: A semicolon stands behind it: it is not to be shown.
    is_silent: bool
    _body: tuple[ast.stmt, ...]
    #: Names that are bound in the body, or by the clause.
    _bound: frozenset[str]

    def function(
        self, namespace: dict[str, Any], filename: str, *, annotations: bool = False
    ) -> FunctionType:
        """Compile the cell.

        Args:
            namespace: the notebook's globals; they become the function's.
            filename: what tracebacks say; register :attr:`source` for it in linecache.
            annotations: compile as the notebook does after ``from __future__ import annotations``.

        Raises:
            SyntaxError: with the cell's own line numbers.
        """
        code = _compile(self._definition(annotations), filename, annotations=annotations)
        set_first = self._bound.difference(self.captured)
        declare(code, set_first if self._mentions_annotations else {*set_first, _ANNOTATIONS})
        return FunctionType(code, namespace, _FUNCTION)

    def mentions(self, names: set[str]) -> set[str]:
        """Return those names that stand somewhere in the body, and that it does not set first."""
        found = {node.id for part in self._body for node in ast.walk(part) if isinstance(node, ast.Name)}
        return names & found - self._bound.difference(self.captured)

    def calls(self) -> list[ast.Call]:
        """Return all calls in the body."""
        return [node for part in self._body for node in ast.walk(part) if isinstance(node, ast.Call)]

    def refuse_missing(self, namespace: dict[str, Any]) -> None:
        """Check the names that the cell surely reads first against the notebook's.

        Raises:
            NameError: there is no such name, neither in the notebook nor in the cell.
        """
        known = {*namespace, *dir(builtins), *self._bound, *_OF_A_MODULE}
        if _has_annotations(self._body):
            known.add(_ANNOTATIONS)
        for name in read_for_certain(self._body, sys.modules.__contains__):
            if name.id not in known:
                raise NameError(_unknown(name, namespace), name=name.id)

    def doubts(self, namespace: dict[str, Any]) -> str:
        """Return what is to be said of names that the cell reads somewhere and nobody defines; empty for none."""
        found = never_defined(self._body, self._bound, namespace)
        if not found:
            return ""
        said = [f"{name.id!r} (line {name.lineno}{_near(name.id, namespace)})" for name in found]
        names, is_not = ("names", "are not") if len(said) > 1 else ("name", "is not")
        return (
            f"{names} {', '.join(said)} {is_not} defined, in this notebook or in the task: "
            "a call that gets there fails with NameError"
        )

    def unpack(self, value: Any) -> tuple[Any, dict[str, Any]]:
        """Split what the function returned into what the cell shows and the values of its outputs."""
        if not self.outputs:
            return value, {}
        if not self.returns_outputs:
            return value, {self.outputs[0]: value}
        values = value if self.has_result or len(self.outputs) > 1 else (value,)
        shown = values[0] if self.has_result else None
        return shown, dict(zip(self.outputs, values[int(self.has_result) :], strict=True))

    @property
    def _mentions_annotations(self) -> bool:
        every = (node for statement in self._body for node in ast.walk(statement))
        return any(
            _ANNOTATIONS in (getattr(node, "id", None), getattr(node, "value", None)) for node in every
        )

    def _definition(self, annotations: bool) -> ast.stmt:
        keyword = "async def" if _is_async(self._body) else "def"
        taken = {name for node in ast.walk(ast.Module([*self._body], [])) for name in _names_of(node)}
        parameters = [_unlike(name, taken) for name in self.items]
        lines = [f"{keyword} {_FUNCTION}({', '.join(parameters)}):"]
        is_kept = (annotations or _EVALUATED) and _has_annotations(self._body)
        if names := sorted({*self._bound, *((_ANNOTATIONS,) if is_kept else ())}):
            lines += [f"    global {', '.join(names)}"]
        for name, parameter in zip(self.items, parameters, strict=True):
            lines += [f"    {name} = {parameter}", f"    del {parameter}"]
        if is_kept:
            lines += [f"    try: {_ANNOTATIONS}", f"    except NameError: {_ANNOTATIONS} = {{}}"]
        definition = ast.parse("\n".join([*lines, "    pass"])).body[0]
        assert isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef)
        body = _Unannotated(as_texts=annotations)
        definition.body += [part for statement in self._body for part in body.of(statement)]
        return definition


def _ends_in_semicolon(source: str, last: ast.stmt) -> bool:
    """Whether a semicolon stands behind the last statement."""
    if last.end_lineno is None or last.end_col_offset is None:
        return False
    # Columns count bytes.
    line = source.splitlines()[last.end_lineno - 1].encode()
    return line[last.end_col_offset :].lstrip().startswith(b";")


def read_cell(magic_line: str, body: str, items: Sequence[str] = (), outputs: Sequence[str] = ()) -> Cell:
    """Read a task cell.

    Args:
        magic_line: the first line, ``%%task ...``.
        body: the lines below it.
        items: names that the ``for`` clause binds.
        outputs: names whose values are wanted.

    Raises:
        CellError: the body cannot be a task.
        SyntaxError: it is not Python.
    """
    # As a comment, for what shows tracebacks parses the source.
    source = f"# {magic_line}\n{body}"
    statements = _parse(body)
    _refuse_unfit(statements)
    bound = bound_names(statements)
    returns_outputs = _check_outputs(outputs, bound, statements)
    last = statements[-1]
    has_result = isinstance(last, ast.Expr)
    finished = _with_return(statements, outputs if returns_outputs else ())
    captured = read_before_bound(finished, items)
    return Cell(
        source=source,
        label=_label(body, statements),
        items=tuple(items),
        captured=tuple(sorted(captured)),
        outputs=tuple(outputs),
        returns_outputs=returns_outputs,
        has_result=has_result,
        is_silent=has_result and _ends_in_semicolon(source, last),
        _body=tuple(finished),
        _bound=frozenset({*bound, *items}),
    )


def read_expression(
    magic_line: str, expression: str, items: Sequence[str] = (), outputs: Sequence[str] = ()
) -> Cell:
    """Read the expression of a ``%task`` line as a cell that holds it alone; for errors see read_cell."""
    try:
        ast.parse(expression, "<%task>", "eval")
    except SyntaxError as problem:
        raise CellError(
            f"`{expression}` is not an expression ({problem.msg}); for statements use %%task"
        ) from None
    return read_cell(magic_line, expression, items, outputs)


def _parse(body: str) -> list[ast.stmt]:
    first = body.lstrip().partition("\n")[0]
    if first.startswith("%%"):
        raise CellError(
            f"a task is plain Python, but this one begins with another cell magic, `{first.strip()}`; "
            "put that magic above %%task, or leave it out"
        )
    try:
        # The line break stands for the magic's line, so that numbers are those of the cell.
        statements = ast.parse("\n" + body).body
    except SyntaxError as problem:
        _refuse_ipython_syntax(body)
        problem.filename = "<task cell>"
        raise
    if not statements:
        raise CellError(
            "the cell has no code, only comments; write the task's code below the %%task line"
            if body.strip()
            else "the cell is empty; write the task's code below the %%task line"
        )
    return [_WithoutGlobal().visit(statement) for statement in statements]


class _OwnScope(ast.NodeTransformer):
    """Goes through what belongs to the cell itself, and not into the functions and classes that it defines."""

    def _left(self, node: ast.AST) -> ast.AST:
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = visit_Lambda = _left  # noqa: N815 - as ast wants


class _WithoutGlobal(_OwnScope):
    """Takes out ``global x`` where the cell itself says it: there it says nothing, for all its names are globals."""

    def visit_Global(self, node: ast.Global) -> ast.stmt:
        return ast.copy_location(ast.Pass(), node)


def _refuse_ipython_syntax(body: str) -> None:
    """Name the first line that only IPython understands; called for source that is not Python."""
    for number, line in enumerate(body.splitlines(), start=2):
        text = line.strip()
        if re.match(r"(\w[\w\s,.]*=\s*)?!", text):
            raise CellError(
                f"line {number}: `{text}` is a shell command, and a task is plain Python; "
                "use subprocess.run(...) there, or run the command in a cell of its own"
            )
        if re.match(r"(\w[\w\s,.]*=\s*)?%{1,2}[A-Za-z_]", text):
            raise CellError(
                f"line {number}: `{text}` is a magic, and a task is plain Python; "
                "run the magic in a cell of its own"
            )
        if re.fullmatch(r"\?{1,2}[\w.%]+|[\w.%]+\?{1,2}", text):
            raise CellError(f"line {number}: `{text}` asks for help, which works in a cell of its own only")


def _refuse_unfit(statements: Sequence[ast.stmt]) -> None:
    for node in own_nodes(statements):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Yield | ast.YieldFrom):
            raise CellError(
                f"line {line}: a task cannot `yield`; collect the values in a list and end with it"
            )
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            raise CellError(
                f"line {line}: a task cannot `from {node.module} import *`; name what it needs, "
                "or import it in a cell of its own: what the task uses is captured"
            )


def _check_outputs(outputs: Sequence[str], bound: set[str], statements: Sequence[ast.stmt]) -> bool:
    """Return whether the outputs are assigned in the body."""
    for name in outputs:
        if not name.isidentifier():
            raise CellError(f"-g {','.join(outputs)}: {name!r} is not a variable name")
    returns = [node for node in own_nodes(statements) if isinstance(node, ast.Return)]
    missing = [name for name in outputs if name not in bound]
    if not missing:
        if outputs and returns:
            raise CellError(
                f"line {returns[0].lineno}: with -g {','.join(outputs)} the body must not `return`: "
                "the values are read at its end"
            )
        return bool(outputs)
    if len(outputs) > 1:
        raise CellError(f"-g {','.join(outputs)}: the body does not assign {', '.join(missing)}")
    if not returns and not isinstance(statements[-1], ast.Expr):
        raise CellError(f"-g {missing[0]}: the body neither assigns {missing[0]} nor ends with an expression")
    return False


def _with_return(statements: Sequence[ast.stmt], outputs: Sequence[str]) -> list[ast.stmt]:
    """Return the body with its result returned: the last expression, or the outputs, or both as one tuple."""
    *before, last = statements
    values: list[ast.expr] = [ast.Name(name, ast.Load()) for name in outputs]
    if isinstance(last, ast.Expr):
        values.insert(0, last.value)
    else:
        before.append(last)
    if not values:
        return before
    result = values[0] if len(values) == 1 else ast.Tuple(values, ast.Load())
    return [*before, ast.copy_location(ast.Return(result), last)]


def _is_async(body: Sequence[ast.stmt]) -> bool:
    return any(
        isinstance(node, _ASYNC_NODES)
        or (isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp) and _awaits(node))
        for node in own_nodes(body)
    )


def _awaits(comprehension: ast.ListComp | ast.SetComp | ast.DictComp) -> bool:
    return any(
        isinstance(part, ast.Await) or (isinstance(part, ast.comprehension) and part.is_async)
        for part in ast.walk(comprehension)
    )


def _unknown(name: ast.Name, namespace: dict[str, Any]) -> str:
    if name.id == "__file__":
        near = "a notebook has no file, and no task of it; the folder is pathlib.Path.cwd()"
    else:
        alike = _alike(name.id, namespace, 0.6)
        near = f"did you mean {alike[0]!r}?" if alike else "nothing was sent"
    return f"name {name.id!r} is not defined, in this notebook or in the task (line {name.lineno}); {near}"


def _alike(name: str, namespace: dict[str, Any], least: float) -> list[str]:
    """Return the name of the notebook's that is most like one, if one is at least so much."""
    return difflib.get_close_matches(name, [one for one in namespace if not one.startswith("_")], 1, least)


def _near(name: str, namespace: dict[str, Any]) -> str:
    alike = _alike(name, namespace, 0.75)
    return f"; did you mean {alike[0]!r}?" if alike else ""


def _names_of(node: ast.AST) -> list[str]:
    return [
        name for name in (getattr(node, "id", None), getattr(node, "name", None)) if isinstance(name, str)
    ]


def _unlike(name: str, taken: set[str]) -> str:
    """Return a name for the parameter that fills ``name``: the name itself is a global."""
    name = f"_{name}"
    while name in taken:
        name += "_"
    return name


def _has_annotations(body: Sequence[ast.stmt]) -> bool:
    """Whether names that a cell assigns have annotations."""
    return any(isinstance(node, ast.AnnAssign) and node.simple for node in own_nodes(body))


class _Unannotated(_OwnScope):
    """Takes the annotations off the names that a cell assigns, and puts them where a cell has them.

    A global in a function may have none.

    Args:
        as_texts: they are kept as they are written.
    """

    def __init__(self, as_texts: bool) -> None:
        self._as_texts = as_texts

    def of(self, statement: ast.stmt) -> list[ast.stmt]:
        """Return what stands for a statement; the statement itself stays as it is."""
        changed = self.visit(copy.deepcopy(statement))
        return changed if isinstance(changed, list) else [changed]

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if not isinstance(node.target, ast.Name):
            return node
        parts: list[ast.stmt] = [ast.Assign([node.target], node.value)] if node.value else []
        if self._as_texts or _EVALUATED:
            parts.append(self._kept(node, node.target.id))
        return [ast.copy_location(part, node) for part in parts or [ast.Pass()]]

    def _kept(self, node: ast.AnnAssign, name: str) -> ast.stmt:
        kept = ast.Constant(ast.unparse(node.annotation)) if self._as_texts else node.annotation
        if not node.simple:
            return ast.Pass() if self._as_texts else ast.Expr(kept)
        place = ast.Subscript(ast.Name(_ANNOTATIONS, ast.Load()), ast.Constant(name), ast.Store())
        return ast.Assign([place], kept)


def _compile(definition: ast.stmt, filename: str, *, annotations: bool) -> CodeType:
    module = ast.fix_missing_locations(ast.Module([definition], []))
    flags = __future__.annotations.compiler_flag if annotations else 0
    compiled = compile(module, filename, "exec", flags, dont_inherit=True)
    found = [part for part in compiled.co_consts if isinstance(part, CodeType) and part.co_name == _FUNCTION]
    # Without these flags its local names are its globals, as those of a module are, for `locals()` and `exec()` too.
    return _renamed(found[0]).replace(
        co_flags=found[0].co_flags & ~(inspect.CO_OPTIMIZED | inspect.CO_NEWLOCALS)
    )


def _renamed(code: CodeType) -> CodeType:
    """Return code whose functions bear the names that they have in a cell: no ``cell.<locals>.<lambda>``."""
    parts = (
        _renamed(part)
        if isinstance(part, CodeType)
        else part.removeprefix(_INSIDE)
        if isinstance(part, str)
        else part
        for part in code.co_consts
    )
    name = getattr(code, "co_qualname", None)
    renamed = code.replace(co_consts=tuple(parts))
    return renamed if name is None else renamed.replace(co_qualname=name.removeprefix(_INSIDE))  # type: ignore[call-arg, unused-ignore] # from 3.11 on


def _label(body: str, statements: Sequence[ast.stmt]) -> str:
    """Return the first comment above the code, else the first function that a line calls, else nothing."""
    for line in body.splitlines():
        text = line.strip()
        if text and not text.startswith("#"):
            break
        comment = text.lstrip("#").strip()
        if comment and not _NO_LABEL.match(text[1:].strip()):
            return comment[:_LABEL_LENGTH]
    values = [node.value for node in statements if isinstance(node, ast.Expr | ast.Assign)]
    called = (ast.unparse(value.func) for value in values if isinstance(value, ast.Call))
    return next(filter(_is_telling, called), "")[:_LABEL_LENGTH]


def _is_telling(name: str) -> bool:
    """Whether the name of a called function says what a cell does: Python's own ones, time.sleep say, do not."""
    module, dot, _ = name.partition(".")
    ours = hasattr(builtins, name) or (dot and module in sys.stdlib_module_names)
    return bool(re.fullmatch(r"[\w.]+", name)) and not ours
