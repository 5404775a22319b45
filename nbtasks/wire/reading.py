"""Whether code only reads a variable: a large one then stays shared by all calls, and is not even looked at.

Only what is sure counts. The instructions are followed with a stack that says of each place whether the variable lies
there, and what it is used for: to be subscripted, iterated over, asked for ``len()``. Everything else may change it.
"""

from __future__ import annotations

import bisect
import builtins
import collections
import dis
import heapq
import itertools
import json
import math
import random
import statistics
from collections.abc import Iterable, Mapping
from types import CodeType, ModuleType
from typing import Any

#: Code that has one of these can reach variables without naming them.
_REACHING = frozenset({"globals", "locals", "vars", "eval", "exec", "__globals__", "__closure__", "gc"})
#: Methods of lists, dicts and sets that change nothing, and give nothing by which it could be changed.
_READING_METHODS = frozenset(
    {
        "copy", "count", "difference", "get", "index", "intersection", "isdisjoint", "issubset", "issuperset", "items",
        "keys", "symmetric_difference", "union", "values", "__contains__", "__getitem__", "__len__",
    }
)  # fmt: skip
#: Functions that only read what they are given. By id: not all can be hashed.
_READING_CALLS = {
    id(one): one
    for one in (
        all, any, bool, dict, enumerate, filter, frozenset, id, isinstance, iter, len, list, map, max, min, print, repr,
        reversed, set, sorted, str, sum, tuple, type, zip, bisect.bisect, bisect.bisect_left, bisect.bisect_right,
        collections.Counter, collections.deque, heapq.nlargest, heapq.nsmallest, itertools.accumulate, itertools.chain,
        itertools.combinations, itertools.compress, itertools.cycle, itertools.filterfalse, itertools.groupby,
        itertools.islice, itertools.pairwise, itertools.permutations, itertools.product, itertools.starmap,
        itertools.takewhile, itertools.zip_longest, json.dumps, math.fsum, math.prod, random.choice, random.choices,
        random.sample, statistics.fmean, statistics.mean, statistics.median, statistics.pstdev, statistics.stdev,
    )
}  # fmt: skip
_LOADS_BY_NAME = frozenset(
    {
        "LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_GLOBALS",
        "LOAD_FROM_DICT_OR_DEREF",
    }
)  # fmt: skip
_READING_BINARY = frozenset({"BINARY_SUBSCR", "COMPARE_OP", "CONTAINS_OP", "IS_OP"})
#: Take one and give nothing.
_TESTS = frozenset({"POP_TOP", "RETURN_VALUE", "STORE_FAST", "STORE_NAME", "STORE_GLOBAL", "STORE_DEREF"})
_MOVE_NOTHING = frozenset(
    {
        "CACHE",
        "EXTENDED_ARG",
        "KW_NAMES",
        "NOP",
        "NOT_TAKEN",
        "PRECALL",
        "RESUME",
        "MAKE_CELL",
        "COPY_FREE_VARS",
    }
)

#: The variable itself, on the stack. Other things there are known objects, or this:
_VARIABLE, _UNKNOWN = object(), object()


def only_reads(codes: Iterable[CodeType], name: str, namespace: Mapping[str, Any]) -> bool:
    """Whether none of these code objects, nor those inside them, can change what a variable holds.

    Args:
        namespace: the globals that the code has.
    """
    return all(_only_reads(code, name, namespace) for code in codes)


def _only_reads(code: CodeType, name: str, namespace: Mapping[str, Any]) -> bool:
    if not _REACHING.isdisjoint(code.co_names):
        return False
    inner = (part for part in code.co_consts if isinstance(part, CodeType))
    if not all(_only_reads(part, name, namespace) for part in inner):
        return False
    if name not in code.co_names and name not in code.co_freevars and name not in code.co_cellvars:
        return True
    return _Follower(name, namespace).is_harmless(code)


class _Follower:
    def __init__(self, name: str, namespace: Mapping[str, Any]) -> None:
        self._name = name
        self._namespace = namespace
        self._stack: list[Any] = []

    def is_harmless(self, code: CodeType) -> bool:
        """Follow each run of instructions that nothing jumps into or out of."""
        for step in dis.get_instructions(code):
            if step.is_jump_target and not self._forget():
                return False
            if not self._follow(step):
                return False
        return True

    def _forget(self) -> bool:
        """Begin with a stack that nothing is known of; False where the variable lies on the old one."""
        is_lost = any(item is _VARIABLE for item in self._stack)
        self._stack.clear()
        return not is_lost

    def _pop(self, count: int) -> list[Any]:
        taken = [self._stack.pop() if self._stack else _UNKNOWN for _ in range(count)]
        return taken[::-1]

    def _follow(self, step: dis.Instruction) -> bool:  # noqa: PLR0911 # one kind of instruction each
        name = step.opname
        if name in _MOVE_NOTHING:
            return True
        if name in _LOADS_BY_NAME:
            return self._load(step)
        if name == "PUSH_NULL" or (name.startswith("LOAD_") and _takes_nothing(step)):
            self._stack += [_UNKNOWN] * _effect(step)
            return True
        if name in {"BUILD_TUPLE", "BUILD_SLICE", "BINARY_SLICE"}:
            return self._build(step)
        if name in _READING_BINARY or name.startswith(("BINARY_", "INPLACE_")):
            return self._binary(step)
        if name in {"LOAD_ATTR", "LOAD_METHOD"}:
            return self._attribute(step)
        if name in {"CALL", "CALL_KW", "CALL_FUNCTION", "CALL_FUNCTION_KW", "CALL_METHOD"}:
            return self._call(step)
        if name in {"GET_ITER", "TO_BOOL", "UNARY_NOT", "FORMAT_VALUE", "FORMAT_SIMPLE"} and not _flags(step):
            self._pop(1)
            self._stack.append(_UNKNOWN)
            return True
        if name == "POP_TOP" or ("JUMP" in name and "_IF_" in name):
            # An iterator, or a test whether there is anything in it.
            self._pop(1)
            return self._forget() if name != "POP_TOP" else True
        if name in _TESTS:
            return self._pop(1) != [_VARIABLE]
        # Whatever else it does: where the variable is not on the stack, it does it to something else.
        return self._forget()

    def _load(self, step: dis.Instruction) -> bool:
        if step.argval != self._name:
            value = self._namespace.get(step.argval, getattr(builtins, str(step.argval), _UNKNOWN))
            known = value if "DEREF" not in step.opname else _UNKNOWN
        else:
            known = _VARIABLE
        extra = _effect(step) - 1
        # What is called lies under or over a place that is empty, by the version of Python.
        self._stack += [_UNKNOWN] * extra if known is _VARIABLE else []
        self._stack += [known] * (1 if known is _VARIABLE else 1 + extra)
        return True

    def _binary(self, step: dis.Instruction) -> bool:
        left, right = self._pop(2)
        self._stack.append(_UNKNOWN)
        if step.opname in _READING_BINARY:
            return step.opname != "BINARY_SUBSCR" or right is not _VARIABLE
        # In place (+=) it would be changed; from 3.14 on a subscript is an operation as well.
        return right is not _VARIABLE and (left is not _VARIABLE or step.argrepr == "[]")

    def _attribute(self, step: dis.Instruction) -> bool:
        (owner,) = self._pop(1)
        known = _UNKNOWN
        attribute = str(step.argval)
        if owner is _VARIABLE and attribute not in _READING_METHODS:
            return False
        if isinstance(owner, ModuleType):
            known = vars(owner).get(attribute, _UNKNOWN)
        self._stack += [known] * (1 + _effect(step))
        return True

    def _build(self, step: dis.Instruction) -> bool:
        """Follow what makes a key, or cuts a piece out."""
        taken = self._pop(1 - _effect(step))
        owner, *parts = taken or [_UNKNOWN]
        self._stack.append(_UNKNOWN)
        return not any(part is _VARIABLE for part in parts) and (
            owner is not _VARIABLE or step.opname == "BINARY_SLICE"
        )

    def _call(self, step: dis.Instruction) -> bool:
        count = int(step.arg or 0) + (step.opname in {"CALL_KW", "CALL_FUNCTION_KW"})
        args = self._pop(count)
        # The callable, and with methods what they belong to; neither can be the variable.
        called = self._pop(1 if step.opname.startswith("CALL_FUNCTION") else 2)
        self._stack.append(_UNKNOWN)
        if not any(arg is _VARIABLE for arg in (*args, *called)):
            return True
        return any(_READING_CALLS.get(id(one)) is one for one in called)


def _effect(step: dis.Instruction) -> int:
    return dis.stack_effect(step.opcode, step.arg)


def _flags(step: dis.Instruction) -> int:
    return int(step.arg or 0) if step.opname == "FORMAT_VALUE" else 0


def _takes_nothing(step: dis.Instruction) -> bool:
    return step.opname.startswith(
        ("LOAD_FAST", "LOAD_CONST", "LOAD_SMALL_INT", "LOAD_CLOSURE", "LOAD_COMMON")
    )
