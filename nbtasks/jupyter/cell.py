"""Turn the source of a ``%%task`` cell into a function. Pure: nothing is run, no notebook is needed.

The body becomes the body of a function, so ``return`` and ``await`` work, and nothing that it assigns
reaches the notebook. What it only reads stays a global of the function and travels with it; what it assigns
too and may read first becomes a parameter with the notebook's value as default, so that ``x = x + 1; x``
works as in a cell.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

from nbtasks.core.errors import CellError

from .names import bound_names, own_nodes, read_before_bound

_FUNCTION = "cell"
_ASYNC_NODES = (ast.Await, ast.AsyncFor, ast.AsyncWith)
_LABEL_LENGTH = 80
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
    #: Names the body assigns and may read before; those that exist in the notebook are captured.
    captured: tuple[str, ...]
    #: Names whose values are wanted (``-g``).
    outputs: tuple[str, ...]
    #: Whether the outputs are assigned in the body; if not, there is one and it is the last expression.
    returns_outputs: bool
    #: Whether the body ends with an expression.
    has_result: bool
    _body: tuple[ast.stmt, ...]

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
        present = [name for name in self.captured if name in namespace]
        code = _compile(self._definition(present), filename, annotations=annotations)
        function = FunctionType(code, namespace, _FUNCTION)
        function.__kwdefaults__ = {name: namespace[name] for name in present}
        return function

    def unpack(self, value: Any) -> tuple[Any, dict[str, Any]]:
        """Split what the function returned into what the cell shows and the values of its outputs."""
        if not self.outputs:
            return value, {}
        if not self.returns_outputs:
            return value, {self.outputs[0]: value}
        values = value if self.has_result or len(self.outputs) > 1 else (value,)
        shown = values[0] if self.has_result else None
        return shown, dict(zip(self.outputs, values[int(self.has_result) :], strict=True))

    def _definition(self, present: Sequence[str]) -> ast.stmt:
        keyword = "async def" if _is_async(self._body) else "def"
        definition = ast.parse(f"{keyword} {_FUNCTION}({_parameters(self.items, present)}): pass").body[0]
        assert isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef)
        definition.body = [*self._body]
        return definition


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
        _body=tuple(finished),
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
    return statements


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


def _parameters(items: Sequence[str], present: Sequence[str]) -> str:
    # Without a value here they would be required; the function gets its defaults once it exists.
    return ", ".join([*items, *(["*", *present] if present else [])])


def _compile(definition: ast.stmt, filename: str, *, annotations: bool) -> CodeType:
    module = ast.fix_missing_locations(ast.Module([definition], []))
    flags = __future__.annotations.compiler_flag if annotations else 0
    compiled = compile(module, filename, "exec", flags, dont_inherit=True)
    found = [part for part in compiled.co_consts if isinstance(part, CodeType) and part.co_name == _FUNCTION]
    return found[0]


def _label(body: str, statements: Sequence[ast.stmt]) -> str:
    """Return the first comment above the code, else the first called function that is not a builtin, else nothing."""
    for line in body.splitlines():
        text = line.strip()
        if text and not text.startswith("#"):
            break
        comment = text.lstrip("#").strip()
        if comment and not _NO_LABEL.match(text[1:].strip()):
            return comment[:_LABEL_LENGTH]
    called = (ast.unparse(node.func) for node in own_nodes(statements) if isinstance(node, ast.Call))
    telling = (name for name in called if re.fullmatch(r"[\w.]+", name) and not hasattr(builtins, name))
    return next(telling, "")[:_LABEL_LENGTH]
