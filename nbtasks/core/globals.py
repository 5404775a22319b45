"""Which globals of its module a function reads: one answer for what travels, what is shown, and what has changed.

cloudpickle looks at the instructions for globals only. A class body inside a function reads by other ones, which look
among the names of the class first; strings that are code or name a variable (``eval("x + 1")``,
``df.query("a > @limit")``, SQL) are read by no instruction at all.
"""

from __future__ import annotations

import ast
import dis
import functools
import re
import string
import sys
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from inspect import CO_OPTIMIZED
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from .readable import is_kind

_READING = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_STORING = frozenset({"STORE_GLOBAL", "STORE_NAME"})
_DELETING = frozenset({"DELETE_GLOBAL", "DELETE_NAME"})
_JUMPING = frozenset({*dis.hasjrel, *dis.hasjabs})
#: Every module has them, so they are of no notebook.
_OF_ANY_MODULE = frozenset({"__name__", "__builtins__", "__package__", "__spec__", "__loader__"})
#: Code that calls one of these may find a variable by the text of its name.
_BY_TEXT = frozenset(
    {
        "compile", "eval", "exec", "format_map", "get_type_hints", "globals", "locals", "repeat", "safe_substitute",
        "substitute", "timeit", "vars",
    }
)  # fmt: skip
_SQL_CALL = re.compile(r"sql|duckdb|\bquery$|^execute$", re.IGNORECASE)
_SQL = re.compile(
    r"\s*(--.*\s+)*(select|with|insert|create|from|update|delete|describe|summarize|pivot|copy|explain)\b",
    re.IGNORECASE,
)
_TABLE = re.compile(
    r"\b(?:from|join|into|update|table|describe|summarize|pivot)\s+([A-Za-z_]\w*)", re.IGNORECASE
)
_MORE_TABLES = re.compile(r"\bfrom\s+[\w\s]+((?:,\s*[A-Za-z_]\w*(?:\s+(?:as\s+)?\w+)?)+)", re.IGNORECASE)
_AT = re.compile(r"(?<![\w.@])@([A-Za-z_]\w*)")
_PERCENT_OR_DOLLAR = re.compile(r"%\(([A-Za-z_]\w*)\)|\$\{?([A-Za-z_]\w*)")
#: Characters of a text that is looked at.
_MOST_TEXT = 20_000
_HAS_DOCSTRING = 0x4000000


@dataclass(frozen=True)
class Found:
    """What a code object, with those inside it, does with globals.

    Attributes:
        read: names that it may read before it has set them itself.
        written: names that it sets or deletes.
        mentioned: names that its strings speak of, where they may be looked up by them. Not all need be variables.
        by_text: whether it looks names up by texts, such as the argument of ``eval``.
        by_sql: whether it looks tables up, in SQL.
        by_variable: whether such a text may be the value of a variable.
    """

    read: tuple[str, ...]
    written: tuple[str, ...]
    mentioned: tuple[str, ...]
    by_text: bool
    by_sql: bool
    by_variable: bool


_declared: WeakKeyDictionary[CodeType, frozenset[str]] = WeakKeyDictionary()


def declare(code: CodeType, set_first: Iterable[str]) -> None:
    """Say which globals a code object sets before they are read in it, where its source tells more than its steps."""
    _declared[code] = frozenset(set_first)


@functools.lru_cache(4096)
def found(code: CodeType) -> Found:
    """Return what a code object does with globals."""
    read: set[str] = set()
    written: set[str] = set()
    texts: list[str] = []
    names: set[str] = set()
    for part in with_inner(code):
        own_read, own_written = _own(part)
        read |= own_read
        written |= own_written
        texts += _texts_of(part)
        names.update(part.co_names)
    by_text, by_sql = not names.isdisjoint(_BY_TEXT), any(map(_SQL_CALL.search, names))
    mentioned = set().union(*(_names_in(text, by_text, by_sql) for text in texts), _annotations_in(code))
    left_out = _OF_ANY_MODULE | _declared.get(code, frozenset())
    return Found(
        tuple(sorted(read - left_out)),
        tuple(sorted(written)),
        tuple(sorted(mentioned - read - left_out)),
        by_text,
        by_sql,
        by_text or by_sql or "query" in names,
    )


def read_by(function: Any) -> Iterator[tuple[str, Any]]:
    """Yield (name, value) of the globals that a function reads."""
    there = function.__globals__
    for name in found(function.__code__).read:
        if name in there:
            yield name, there[name]


def mentioned_by(function: Any) -> Iterator[tuple[str, Any]]:
    """Yield (name, value) of the globals that a function may look up by a text, of its own or one it reads."""
    what, annotations = found(function.__code__), function.__annotations__
    if not (what.mentioned or what.by_variable or annotations):
        return
    there, names = function.__globals__, {*what.mentioned}
    if what.by_variable:
        names |= _named_by_values(function, what)
    if annotations:
        names |= names_in_annotations(annotations.values())
    for name in sorted(names - {*what.read} - _OF_ANY_MODULE):
        if name in there:
            yield name, there[name]


def has_code(value: Any) -> bool:
    """Whether a value is a function of Python, or a method of such. All else is not asked: it may be the user's."""
    return is_kind(value.__func__ if is_kind(value, MethodType) else value, FunctionType)


def captures(function: Any) -> Iterator[tuple[str, Any]]:
    """Yield (name, value) of everything a function captures: closure, defaults and the globals that it may read."""
    # Asked before every call whether the function has changed: most have nothing but globals.
    code, there = function.__code__, function.__globals__
    if function.__closure__:
        for name, cell in zip(code.co_freevars, function.__closure__, strict=False):
            try:
                yield name, cell.cell_contents
            except ValueError:
                continue
    if function.__defaults__:
        first = code.co_argcount - len(function.__defaults__)
        yield from zip(code.co_varnames[first : code.co_argcount], function.__defaults__, strict=False)
    if function.__kwdefaults__:
        yield from function.__kwdefaults__.items()
    what = found(code)
    for name in what.read:
        if name in there:
            yield name, there[name]
    if what.mentioned or what.by_variable or function.__annotations__:
        yield from mentioned_by(function)


def submodules_of(function: Any, values: Iterable[Any]) -> list[ModuleType]:
    """Return the loaded submodules that a function reaches through packages: ``xml.dom`` of ``xml``."""
    packages = {
        value.__name__ for value in values if type(value) is ModuleType and getattr(value, "__path__", None)
    }
    if not packages:
        return []
    used = {name for part in with_inner(function.__code__) for name in part.co_names}
    prefixes = tuple(f"{name}." for name in packages)
    return [
        module
        for name, module in list(sys.modules.items())
        if isinstance(name, str)
        and name.startswith(prefixes)
        and module is not None
        and any(
            used.issuperset(name[len(start) :].split(".")) for start in prefixes if name.startswith(start)
        )
    ]


def with_inner(code: CodeType) -> Iterator[CodeType]:
    """Yield a code object, and those inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from with_inner(constant)


def _own(code: CodeType) -> tuple[set[str], set[str]]:
    """Return the names of globals that a code object may read before it has set them, and those that it sets."""
    read: set[str] = set()
    written: set[str] = set()
    #: Set for certain: by the steps before the first that may be jumped over.
    bound: set[str] = set()
    straight = not getattr(code, "co_exceptiontable", b"")
    for step in dis.get_instructions(code):
        name = step.argval
        if step.opname in _READING:
            read |= {name} - bound
        elif step.opname == "SETUP_ANNOTATIONS":
            # A class body has its own.
            bound.add("__annotations__")
        elif step.opname in _STORING:
            written.add(name)
            if straight:
                bound.add(name)
        elif step.opname in _DELETING:
            written.add(name)
            read |= {name} - bound
            bound.discard(name)
        elif step.opcode in _JUMPING:
            straight = False
    if code.co_flags & CO_OPTIMIZED == 0:
        # A class body: what it sets is the class's.
        written = {
            step.argval
            for step in dis.get_instructions(code)
            if step.opname in {"STORE_GLOBAL", "DELETE_GLOBAL"}
        }
    return read, written


def _texts_of(code: CodeType) -> Iterator[str]:
    """Yield the strings among the constants of a code object, but not its docstring."""
    constants = code.co_consts
    if constants and isinstance(constants[0], str) and code.co_flags & CO_OPTIMIZED:
        if sys.version_info >= (3, 13):
            documented = bool(code.co_flags & _HAS_DOCSTRING)
        else:
            documented = not code.co_name.startswith("<")
        constants = constants[1:] if documented else constants
    yield from _strings_in(constants)


def _strings_in(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if type(value) is str:
            yield value
        elif type(value) in (tuple, frozenset):
            yield from _strings_in(value)


def _annotations_in(code: CodeType) -> set[str]:
    """Return the names in annotations that are strings, of classes and functions made inside a code object."""
    names: set[str] = set()
    for part in with_inner(code):
        names |= names_in_annotations(_annotations_of_class(part))
        for pairs in _pairs_before_functions(part):
            names |= names_in_annotations(pairs[1::2])
    return names


def _annotations_of_class(code: CodeType) -> Iterator[Any]:
    before = None
    for step in dis.get_instructions(code):
        if step.opname == "LOAD_NAME" and step.argval == "__annotations__":
            yield before
        before = step.argval if step.opname == "LOAD_CONST" else None


def _pairs_before_functions(code: CodeType) -> Iterator[tuple[str, ...]]:
    """Yield what of strings only is given to functions that are made: (parameter, annotation, parameter, ...)."""
    before: list[Any] = []
    for step in dis.get_instructions(code):
        if step.opname == "BUILD_TUPLE":
            before = [*before[: -step.argval], tuple(before[-step.argval :])] if step.argval else before
        elif step.opname != "LOAD_CONST":
            before = []
        elif isinstance(step.argval, CodeType):
            yield from (
                item for item in before if type(item) is tuple and all(type(one) is str for one in item)
            )
            before = []
        else:
            before.append(step.argval)


def _named_by_values(function: Any, what: Found) -> set[str]:
    """Return the names in texts that a function reads from globals, and in code objects there."""
    names: set[str] = set()
    there = function.__globals__
    for name in what.read:
        value = there.get(name)
        if type(value) is str:
            names |= _names_in(value, what.by_text, what.by_sql)
        elif type(value) is types.CodeType:
            names.update(found(value).read)
        elif type(value) in (list, tuple) and len(value) <= 100:
            names.update(*(_names_in(text, what.by_text, what.by_sql) for text in value if type(text) is str))
    return names


def names_in_annotations(annotations: Iterable[Any]) -> set[str]:
    """Return the names that annotations speak of where they are texts."""
    return set().union(*(_names_in_python(text) for text in annotations if isinstance(text, str)))


def _names_in(text: str, by_text: bool, by_sql: bool) -> set[str]:
    """Return the names that a text may be meant to look up."""
    if len(text) > _MOST_TEXT:
        return set()
    names = set(_AT.findall(text)) if "@" in text else set()
    if by_sql and _SQL.match(text):
        names.update(_TABLE.findall(text))
        for more in _MORE_TABLES.findall(text):
            names.update(part.split()[0] for part in more.split(",") if part.strip())
    elif by_text:
        names |= _names_in_python(text) | _names_in_template(text)
    return names


def _names_in_python(text: str) -> set[str]:
    try:
        # "@" marks a variable in the language of pandas.
        tree = ast.parse(_AT.sub(r"\1", text).strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _names_in_template(text: str) -> set[str]:
    names = {one or other for one, other in _PERCENT_OR_DOLLAR.findall(text)}
    if "{" in text:
        try:
            fields = [field for _, field, _, _ in string.Formatter().parse(text) if field]
        except ValueError:
            return names
        names.update(re.split(r"[.\[]", field, maxsplit=1)[0] for field in fields)
    return names
