"""What ``%%task`` and ``%task`` do: from a cell or an expression to a batch, its card and its value."""

from __future__ import annotations
import __future__

import ast
import builtins
import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbtasks.client.app import App
from nbtasks.client.periodic.declared import put_from_notebook
from nbtasks.client.submitting.dispatch import MapOptions
from nbtasks.client.submitting.placing import handles_in
from nbtasks.client.submitting.withhandles import submit_call_after, submit_map_after
from nbtasks.client.task import Task
from nbtasks.core.errors import CellError
from nbtasks.core.options import TaskOptions
from nbtasks.jupyter.frontend import has_kernel, is_watched, register_source

from . import timing
from .after import NOTHING, After, named_after, read_by, refuse_waiting
from .cell import Cell, read_cell, read_expression
from .clause import ForClause, split_clause
from .dryrun import dry_run
from .flags import MagicOptions, OptionError, parse_options, take_options
from .publish import Panels, say
from .scheduleline import ScheduleLine
from .stopbutton import wait_and_get, wait_quietly
from .tasksline import run_called

if TYPE_CHECKING:
    from nbtasks.client.group import GroupResult
    from nbtasks.client.result import AsyncResult
    from nbtasks.jupyter.card.display import Display

    from .reruns import Reruns

    Handle = AsyncResult | GroupResult


#: Items of a scheduled cell's clause; more of them than that are larger than a periodic task may be.
_MOST_SCHEDULED = 200_000
#: What tracebacks call the expression of ``%task``.
LINE_FILE = "<%task>"


@dataclass(frozen=True)
class Launch:
    """One use of the magic, ready to be sent."""

    task: Task
    options: MagicOptions
    title: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    #: The items of a fan-out, and whether each is a tuple of arguments.
    items: Iterator[Any] | None
    several: bool
    #: The source it came from; None when a function was named.
    cell: Cell | None
    #: Handles of runs that have to succeed before; nothing is handed on of them.
    order: Sequence[Any] = ()


class Launcher:
    """Runs the magics' work in one shell."""

    def __init__(self, shell: Any, display: Display, reruns: Reruns) -> None:
        self._shell = shell
        self._display = display
        self._reruns = reruns
        self._schedules = ScheduleLine(Panels(shell, display))

    def run_cell(self, line: str, body: str) -> Any:
        """Run ``%%task LINE`` with this body; returns what becomes Out[n]."""
        head, clause = split_clause(line)
        options = parse_options(head)
        text, names = f"%%task {line}".rstrip(), clause.names if clause else ()
        after = self._after(options)
        cell = self._read_cell(text, body, _parameters(after, names), options.get)
        if more := read_by(cell, self._shell.user_ns, cell.items):
            after = after.and_also(more)
            cell = self._read_cell(text, body, _parameters(after, names), options.get)
        refuse_waiting(cell, after.given)
        title = options.name or cell.label or f"In[{self._shell.displayhook.prompt_count}]"
        task = Task(self._function(cell), self._task_options(options, title))
        return self._launch(self._ready(task, options, title, clause, cell, after))

    def run_line(self, line: str) -> Any:
        """Run ``%task LINE``; returns the handle, or the value with ``-b``."""
        # A semicolon at the end silences Out[n], as everywhere in IPython.
        head, rest = take_options(line.rstrip().removesuffix(";"))
        options = parse_options(head)
        expression, clause = split_clause(rest)
        if not expression:
            raise OptionError("%task needs an expression, such as `%task f(x)`; for several lines use %%task")
        launch = self._read_line(line, expression, clause, options)
        after = self._after(options)
        order = [
            *after.order,
            *(one for value in after.given.values() for one in handles_in([((value,), {})])),
        ]
        return self._launch(dataclasses.replace(launch, order=order))

    # -- reading

    def _read_cell(
        self, magic_line: str, body: str, names: tuple[str, ...], outputs: tuple[str, ...]
    ) -> Cell:
        try:
            return read_cell(magic_line, body, names, outputs)
        except SyntaxError as problem:
            problem.filename = register_source(self._shell, f"# {magic_line}\n{body}")
            raise

    def _read_line(
        self, line: str, expression: str, clause: ForClause | None, options: MagicOptions
    ) -> Launch:
        names = clause.names if clause else ()
        cell = read_expression(f"%task {line}", expression, names, options.get)
        tree = ast.parse(expression, LINE_FILE, "eval").body
        title = options.name or cell.label or expression[:80]
        if clause is None and isinstance(tree, ast.Call):
            target = self._evaluate(tree.func)
            args, kwargs = self._arguments(tree)
            task = self._task_of(target, tree.func, options, title)
            return Launch(task, options, title, args, kwargs, None, False, None)
        if clause is not None and _names_a_function(tree, names):
            task = self._task_of(self._evaluate(tree), tree, options, title)
            return self._ready(task, options, options.name or task.name, clause, None)
        after = NOTHING
        if held := read_by(cell, self._shell.user_ns, names):
            after = after.and_also(held)
            cell = read_expression(f"%task {line}", expression, _parameters(after, names), options.get)
        task = self._of_expression(cell, tree, options, title)
        return self._ready(task, options, title, clause, cell, after)

    def _of_expression(self, cell: Cell, tree: ast.expr, options: MagicOptions, title: str) -> Task:
        """Return a task that evaluates the expression there, with the options of the task it calls, if any."""
        function = self._function(cell)
        called = None
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
            called = self._shell.user_ns.get(tree.func.id)
        if isinstance(called, Task):
            # The card has its title anyway; a rate limit goes by the task's name.
            return Task(function, called.options).with_options(**self._given(options), name=called.name)
        return Task(function, self._task_options(options, title))

    def _task_of(self, target: Any, tree: ast.expr, options: MagicOptions, title: str) -> Task:
        if isinstance(target, Task):
            return target.with_options(**self._given(options))
        if not callable(target):
            kind = type(target).__name__
            raise CellError(f"`{ast.unparse(tree)}` is of type {kind} and cannot be called")
        return Task(target, self._task_options(options, title))

    def _evaluate(self, tree: ast.expr) -> Any:
        code = compile(ast.Expression(tree), LINE_FILE, "eval")
        return eval(code, self._shell.user_ns)  # noqa: S307 - the user's own expression, in their own kernel

    def _arguments(self, call: ast.Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Evaluate the arguments of a call, starred ones included, here."""
        collect = ast.copy_location(ast.Name("__collect__", ast.Load()), call.func)
        tree = ast.copy_location(ast.Call(collect, call.args, call.keywords), call)
        code = compile(ast.Expression(tree), LINE_FILE, "eval")
        found: tuple[tuple[Any, ...], dict[str, Any]] = eval(  # noqa: S307 - as above
            code, self._shell.user_ns, {"__collect__": lambda *args, **kwargs: (args, kwargs)}
        )
        return found

    # -- making the task

    def _function(self, cell: Cell) -> Callable[..., Any]:
        try:
            cell.refuse_missing(self._shell.user_ns)
        except NameError as problem:
            # It is of the cell's text, which the page shows: no traceback has more to say.
            said = f"NameError: {problem}"
            problem._render_traceback_ = lambda: [said]  # type: ignore[attr-defined]
            raise
        if said := cell.doubts(self._shell.user_ns):
            say(f"The {said}.")
        filename = register_source(self._shell, cell.source)
        annotations = bool(self._shell.compile.flags & __future__.annotations.compiler_flag)
        return cell.function(self._shell.user_ns, filename, annotations=annotations)

    def _task_options(self, options: MagicOptions, name: str) -> TaskOptions:
        return TaskOptions.make({**self._given(options), "name": name})

    def _given(self, options: MagicOptions) -> dict[str, Any]:
        given = options.task_options()
        if options.retry_on:
            given["autoretry_for"] = tuple(self._exception(name) for name in options.retry_on)
        return given

    def _exception(self, name: str) -> type[BaseException]:
        root, *path = name.split(".")
        found = self._shell.user_ns.get(root, getattr(builtins, root, None))
        for part in path:
            found = getattr(found, part, None)
        if not (isinstance(found, type) and issubclass(found, BaseException)):
            raise OptionError(f"--retry-on: {name} is not an exception class that this notebook knows")
        return found

    def _ready(
        self,
        task: Task,
        options: MagicOptions,
        title: str,
        clause: ForClause | None,
        cell: Cell | None,
        after: After = NOTHING,
    ) -> Launch:
        given, order = tuple(after.given.values()), after.order
        if clause is None:
            _refuse_fan_out_options(options)
            return Launch(task, options, title, given, {}, None, False, cell, order)
        items, several = clause.items(self._shell.user_ns), len(clause.names) > 1
        if given:
            items, several = _each_with(given, items, several), True
        return Launch(task, options, title, (), {}, items, several, cell, order)

    def _after(self, options: MagicOptions) -> After:
        if not options.after:
            return NOTHING
        return named_after(options.after, self._shell.user_ns, run_called, App.current().batches(quiet=True))

    # -- running it

    def _launch(self, launch: Launch) -> Any:
        if launch.options.dry_run:
            dry_run(self._shell, launch.task, launch.args, launch.kwargs, fan_out=launch.items is not None)
            return None
        if launch.options.here:
            return self._run_here(launch)
        if timing.is_scheduled(launch.options):
            return self._schedule(launch)
        with self._reruns.of_magic():
            handle = self._submit(launch)
        self._reruns.note(handle.batch, again=launch.options.again)
        if launch.options.quiet:
            self._display.hush(handle.batch)
        if launch.options.out:
            self._shell.user_ns[launch.options.out] = handle
        return self._answer(launch, handle)

    def _schedule(self, launch: Launch) -> None:
        """Have it run again and again, and show its card."""
        options = launch.options
        if launch.order or (launch.args and handles_in([(launch.args, launch.kwargs)])):
            raise OptionError(
                "a scheduled cell cannot wait for other runs: read their values here first, with get()"
            )
        calls = [(launch.args, launch.kwargs)]
        if launch.items is not None:
            # An endless clause would be read for ever, for all of it travels with each run.
            items = list(itertools.islice(launch.items, _MOST_SCHEDULED + 1))
            if len(items) > _MOST_SCHEDULED:
                raise OptionError(
                    f"the clause has more than {_MOST_SCHEDULED:,} items, and all of them travel with each run of a "
                    "scheduled cell: loop in the cell instead"
                )
            calls = [(tuple(item) if launch.several else (item,), {}) for item in items]
        name = timing.schedule_name(options, launch.cell.label if launch.cell is not None else launch.title)
        given = {**options.call_options(), "label": launch.title}
        handle = put_from_notebook(
            launch.task.app, launch.task, calls, options.every or options.cron, name, given,
            launch.items is None, options.chunk, options.tz, **timing.terms_of(options),
        )  # fmt: skip
        if options.out:
            self._shell.user_ns[options.out] = handle
        if not options.quiet:
            self._schedules.card(name)

    def _submit(self, launch: Launch) -> Handle:
        options, task = launch.options, launch.task
        call = {**options.call_options(), "label": launch.title, "quiet": options.quiet}
        is_silent = launch.cell is not None and launch.cell.is_silent
        without_value = _wants_value(options) or is_silent
        with self._display.without_preview() if without_value else contextlib.nullcontext():
            if launch.order:
                return self._submit_after(launch, call)
            if launch.items is None:
                return task.apply_async(launch.args, launch.kwargs, **call)
            submit = task.starmap if launch.several else task.map
            return submit(launch.items, **options.map_options(), **call)

    def _submit_after(self, launch: Launch, call: dict[str, Any]) -> Handle:
        engine, task = launch.task.app.engine, launch.task
        if launch.items is None:
            return submit_call_after(engine, task, launch.args, launch.kwargs, call, launch.order)
        own = {name: call.pop(name) for name in ("label", "quiet")}
        tuples = [tuple(item) if launch.several else (item,) for item in launch.items]
        how = MapOptions(**launch.options.map_options(), **own)
        return submit_map_after(engine, task, tuples, how, call, launch.order)

    def _answer(self, launch: Launch, handle: Handle) -> Any:
        options = launch.options
        if _wants_value(options):
            in_terminal = not has_kernel(self._shell) and not options.quiet
            value = wait_and_get(handle, options.wait, text=in_terminal)
            return self._give_back(launch, value)
        later = options.noblock or options.countdown is not None or options.eta is not None
        if not later and not is_watched(self._shell):
            # Whoever follows the run (papermill's log, our demo) sees how far it is; so does a run that is cut off.
            wait_quietly(handle, meanwhile=lambda: self._display.saw(handle.batch))
            self._display.saw(handle.batch)
            if not handle.successful() and options.on_error != "keep":
                handle.get()  # raises, so that the notebook stops here
        return handle

    def _give_back(self, launch: Launch, value: Any) -> Any:
        """Put the values of ``-g`` into the notebook; returns what the cell shows."""
        cell, names = launch.cell, launch.options.get
        if not names:
            return value
        if cell is None:
            self._shell.user_ns[names[0]] = value
            return None
        if launch.items is None:
            shown, values = cell.unpack(value)
            self._shell.user_ns.update(values)
            return shown if cell.returns_outputs else None
        self._shell.user_ns.update(_gather(cell, names, value))
        return None

    def _run_here(self, launch: Launch) -> Any:
        task = launch.task
        if launch.items is None:
            result = task.apply(launch.args, launch.kwargs)
            return self._give_back(launch, result.get()) if _wants_value(launch.options) else result
        results = [task.apply(item if launch.several else (item,)) for item in launch.items]
        if _wants_value(launch.options):
            return self._give_back(launch, [result.get() for result in results])
        return results


def _each_with(given: tuple[Any, ...], items: Iterator[Any], several: bool) -> Iterator[tuple[Any, ...]]:
    """Yield the arguments of each call: what all of them get, and the item."""
    for item in items:
        yield (*given, *item) if several else (*given, item)


def _parameters(after: After, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a cell gets with each call: results, and what the clause names."""
    for name in names:
        if name in after.given:
            raise OptionError(
                f"--after {name}: the for clause names {name}, too; call one of them something else"
            )
    return (*after.given, *names)


def _wants_value(options: MagicOptions) -> bool:
    return options.block or bool(options.get)


def _refuse_fan_out_options(options: MagicOptions) -> None:
    given = [name for name in ("max_parallel", "chunk", "on_error") if getattr(options, name) is not None]
    if given:
        raise OptionError(
            f"--{given[0].replace('_', '-')} is for a fan-out: add `for NAME in EXPR` to the line"
        )


def _names_a_function(tree: ast.expr, items: tuple[str, ...]) -> bool:
    """Whether the expression of ``%task f for u in urls`` names the function for the items."""
    root = tree
    while isinstance(root, ast.Attribute):
        root = root.value
    return isinstance(root, ast.Name) and root.id not in items


def _gather(cell: Cell, names: tuple[str, ...], results: list[Any]) -> dict[str, list[Any]]:
    """Return the list of each name's values; a call that failed (``--on-error keep``) gives its exception."""
    rows = [
        dict.fromkeys(names, result) if isinstance(result, BaseException) else cell.unpack(result)[1]
        for result in results
    ]
    return {name: [row[name] for row in rows] for name in names}
