"""Whether code only reads a variable: a large one then stays shared by all calls, and is not even looked at.

Only what is sure counts. The instructions are followed with a stack that says of each place whether the variable, or a
part of it, lies there, and what it is used for: to be subscripted, iterated over, asked for ``len()``, handed to a
function that only reads it. Everything else may change it.
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
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType
from typing import Any

#: Code that has one of these can reach variables without naming them.
_REACHING = frozenset(
    {
        "globals", "locals", "vars", "eval", "exec", "gc", "f_globals", "f_locals", "mapping", "__closure__",
        "__globals__", "__reduce__", "__self__",
    }
)  # fmt: skip
#: Functions that are followed into one another.
_MOST_CALLS = 5


@dataclass(frozen=True)
class _Part:
    """The variable, or a part of it, with so many containers in each other; of more than one, parts can be changed."""

    depth: int


@dataclass(frozen=True)
class _Steps:
    """What goes through a part, or through pairs of something and a part of it."""

    depth: int
    in_pairs: bool = False


@dataclass(frozen=True)
class _Pair:
    depth: int


@dataclass(frozen=True)
class _Method:
    """A method of a part, and what it returns."""

    gives: Any


class _Slice:
    pass


_UNKNOWN, _SLICE = object(), _Slice()
_TAINTED = (_Part, _Steps, _Pair, _Method)


def _part(depth: int) -> Any:
    return _Part(depth) if depth > 0 else _UNKNOWN


def _same(depth: int) -> Any:
    return _part(depth)


def _item(depth: int) -> Any:
    return _part(depth - 1)


def _nothing(_: int) -> Any:
    return _UNKNOWN


def _pairs(depth: int) -> Any:
    return _Steps(depth, in_pairs=True) if depth > 1 else _UNKNOWN


#: Methods of lists, dicts and sets that change nothing, and what they give.
_READING_METHODS = {
    "get": _item, "__getitem__": _item, "copy": _same, "values": _same, "items": _pairs,
    **dict.fromkeys(
        (
            "count", "difference", "index", "intersection", "isdisjoint", "issubset", "issuperset", "keys",
            "symmetric_difference", "union", "__contains__", "__len__",
        ),
        _nothing,
    ),
}  # fmt: skip
#: Functions that only read what they are given alone, and what they give. By their place in memory, where they stay.
_READING_CALLS = {
    **{id(one): (one, _nothing) for one in (all, any, bool, id, isinstance, len, print, repr, str, type, json.dumps)},
    **{id(one): (one, _same) for one in (list, reversed, sorted, tuple)},
    **{id(one): (one, _item) for one in (max, min, random.choice)},
    id(enumerate): (enumerate, _pairs),
}  # fmt: skip
#: Functions that only read containers of what cannot change, whatever they do with that.
_READING_FLAT = {
    id(one): one
    for one in (
        *(one for one, _ in _READING_CALLS.values()), dict, filter, frozenset, iter, map, set, sum, zip, bisect.bisect,
        bisect.bisect_left, bisect.bisect_right, collections.Counter, collections.deque, heapq.nlargest,
        heapq.nsmallest, itertools.accumulate, itertools.chain, itertools.combinations, itertools.compress,
        itertools.cycle, itertools.filterfalse, itertools.groupby, itertools.islice, itertools.pairwise,
        itertools.permutations, itertools.product, itertools.starmap, itertools.takewhile, itertools.zip_longest,
        math.fsum, math.prod, random.choices, random.sample, statistics.fmean, statistics.mean, statistics.median,
        statistics.pstdev, statistics.stdev,
    )
}  # fmt: skip
#: Of these, what may give back one of several that it is given.
_CHOOSING = frozenset(map(id, (max, min, sum)))

_LOADS_BY_NAME = frozenset(
    {
        "LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_GLOBALS",
        "LOAD_FROM_DICT_OR_DEREF",
    }
)  # fmt: skip
_COMPARING = frozenset({"COMPARE_OP", "CONTAINS_OP", "IS_OP"})
_CALLS = frozenset({"CALL", "CALL_KW", "CALL_FUNCTION", "CALL_FUNCTION_KW", "CALL_METHOD"})
_BUILDING = frozenset({"BUILD_LIST", "BUILD_SET", "BUILD_MAP", "BUILD_TUPLE", "BUILD_SLICE", "BINARY_SLICE"})
_TESTS = frozenset({"TO_BOOL", "UNARY_NOT", "FORMAT_VALUE", "FORMAT_SIMPLE"})
_MOVE_NOTHING = frozenset(
    {"CACHE", "EXTENDED_ARG", "NOP", "NOT_TAKEN", "PRECALL", "RESUME", "MAKE_CELL", "COPY_FREE_VARS"}
)


def only_reads(codes: Iterable[CodeType], name: str, namespace: Mapping[str, Any], depth: int = 1) -> bool:
    """Whether none of these code objects, nor those inside them, can change what a variable holds.

    Args:
        namespace: the globals that the code has.
        depth: how many containers lie in each other there, 1 for a list of numbers.
    """
    return all(_only_reads(code, name, namespace, depth) for code in codes)


def _only_reads(code: CodeType, name: str, namespace: Mapping[str, Any], depth: int) -> bool:
    if not _REACHING.isdisjoint(code.co_names):
        return False
    inner = (part for part in code.co_consts if isinstance(part, CodeType))
    if not all(_only_reads(part, name, namespace, depth) for part in inner):
        return False
    if name not in code.co_names and name not in code.co_freevars and name not in code.co_cellvars:
        return True
    return _Follower(code, namespace, {}, name, depth).is_harmless()


class _Follower:
    """Follows one code object.

    Args:
        parts: names of its local variables that hold parts, with their depths.
        name: of the variable, where it is a global or of a closure.
        calls: how many functions lie above it.
    """

    def __init__(
        self,
        code: CodeType,
        namespace: Mapping[str, Any],
        parts: dict[str, Any],
        name: str = "",
        depth: int = 0,
        calls: int = 0,
    ) -> None:
        self._code = code
        self._namespace = namespace
        self._locals = parts
        self._name, self._depth, self._calls = name, depth, calls
        self._stack: list[Any] = []
        #: How many arguments the next call names, where an instruction of its own says so.
        self._keywords = 0

    def is_harmless(self) -> bool:
        """Follow each run of instructions that nothing jumps into, until no more is known of the variables."""
        while True:
            before = dict(self._locals)
            self._stack.clear()
            for step in dis.get_instructions(self._code):
                if not self._follow(step):
                    return False
            if self._locals == before:
                return True

    # -- the stack

    def _forget(self) -> bool:
        """Begin with a stack that nothing is known of; False where a part lies on the old one."""
        is_lost = any(isinstance(item, _TAINTED) for item in self._stack)
        self._stack.clear()
        return not is_lost

    def _pop(self, count: int) -> list[Any]:
        taken = [self._stack.pop() if self._stack else _UNKNOWN for _ in range(count)]
        return taken[::-1]

    # -- instructions

    def _follow(self, step: dis.Instruction) -> bool:
        name = step.opname
        if step.is_jump_target and name != "FOR_ITER" and not self._forget():
            return False
        for names, action in _ACTIONS:
            if name in names:
                return bool(action(self, step))
        for begins, action in _ACTIONS_OF_MANY:
            if name.startswith(begins):
                return bool(action(self, step))
        if "JUMP" in name and "_IF_" in name:
            # A test whether there is anything in it.
            tested = self._pop(1)[0]
            # Some leave what they have tested where they jump to.
            is_lost = isinstance(tested, _TAINTED if name.endswith("_OR_POP") else _Method)
            return not is_lost and self._forget()
        # Whatever else it does: where no part is on the stack, it does it to something else.
        return self._forget()

    def _pass(self, step: dis.Instruction) -> bool:
        return True

    def _note_keywords(self, step: dis.Instruction) -> bool:
        self._keywords = len(self._code.co_consts[int(step.arg or 0)])
        return True

    def _constant(self, step: dis.Instruction) -> bool:
        known = step.argval if isinstance(step.argval, (CodeType, tuple)) else _UNKNOWN
        self._stack += [_SLICE if isinstance(step.argval, slice) else known] * _effect(step)
        return True

    def _loop(self, step: dis.Instruction) -> bool:
        (steps,) = self._pop(1)
        if not self._forget():
            return False
        if isinstance(steps, _Steps):
            self._stack.append(_Pair(steps.depth - 1) if steps.in_pairs else _part(steps.depth - 1))
            return True
        self._stack.append(_UNKNOWN)
        return not isinstance(steps, _TAINTED)

    def _load(self, step: dis.Instruction) -> bool:
        known: Any = _UNKNOWN
        if step.argval == self._name:
            known = _Part(self._depth)
        elif "DEREF" not in step.opname:
            known = self._namespace.get(step.argval, getattr(builtins, str(step.argval), _UNKNOWN))
        # What is called lies under or over a place that is empty, by the version of Python.
        extra = _effect(step) - 1
        self._stack += [_UNKNOWN] * extra if isinstance(known, _Part) else [known] * extra
        self._stack.append(known)
        return True

    def _fast(self, step: dis.Instruction) -> bool:
        """Follow loads and stores of local variables; some instructions are two of them."""
        if step.opname == "LOAD_FAST_AND_CLEAR":
            # A comprehension puts aside what has the name of its variable, and stores it there again.
            self._stack.append(_UNKNOWN)
            return True
        kinds = step.opname.replace("_BORROW", "").replace("_FAST", "").replace("_CHECK", "").split("_")
        names = step.argval if isinstance(step.argval, tuple) else (step.argval,)
        kinds = [kind for kind in kinds if kind in {"LOAD", "STORE"}]
        if len(kinds) != len(names):
            return False
        return all(self._one_fast(kind, name) for kind, name in zip(kinds, names, strict=True))

    def _one_fast(self, kind: str, name: str) -> bool:
        if kind == "LOAD":
            self._stack.append(self._locals.get(name, _UNKNOWN))
            return True
        (value,) = self._pop(1)
        if not isinstance(value, _TAINTED):
            return True
        before = self._locals.get(name, value)
        if not isinstance(value, _Part) or not isinstance(before, _Part) or name in self._code.co_cellvars:
            return False
        self._locals[name] = _Part(max(before.depth, value.depth))
        return True

    def _store(self, step: dis.Instruction) -> bool:
        return not isinstance(self._pop(1)[0], _TAINTED)

    def _drop(self, step: dis.Instruction) -> bool:
        self._pop(1)
        return True

    def _swap(self, step: dis.Instruction) -> bool:
        place = int(step.arg or 0)
        if len(self._stack) < place:
            return self._forget()
        self._stack[-1], self._stack[-place] = self._stack[-place], self._stack[-1]
        return True

    def _copy(self, step: dis.Instruction) -> bool:
        place = int(step.arg or 0)
        self._stack.append(self._stack[-place] if len(self._stack) >= place else _UNKNOWN)
        return True

    def _test(self, step: dis.Instruction) -> bool:
        if step.opname == "FORMAT_VALUE" and step.arg:
            return self._forget()
        (value,) = self._pop(1)
        self._stack.append(_UNKNOWN)
        return not isinstance(value, (_Steps, _Method))

    def _iterate(self, step: dis.Instruction) -> bool:
        (value,) = self._pop(1)
        if isinstance(value, _Part):
            value = _Steps(value.depth)
        is_flat = isinstance(value, _Steps) and value.depth <= 1
        self._stack.append(value if isinstance(value, _Steps) and not is_flat else _UNKNOWN)
        return not isinstance(value, (_Pair, _Method))

    def _unpack(self, step: dis.Instruction) -> bool:
        (value,) = self._pop(1)
        count = int(step.arg or 0)
        if isinstance(value, _Pair) and count == 2:
            self._stack += [_part(value.depth), _UNKNOWN]
            return True
        self._stack += [_part(value.depth - 1) if isinstance(value, _Part) else _UNKNOWN] * count
        return isinstance(value, _Part) or not isinstance(value, _TAINTED)

    def _compare(self, step: dis.Instruction) -> bool:
        taken = self._pop(2)
        self._stack.append(_UNKNOWN)
        return not any(isinstance(one, (_Steps, _Method)) for one in taken)

    def _binary(self, step: dis.Instruction) -> bool:
        left, right = self._pop(2)
        is_subscript = step.opname == "BINARY_SUBSCR" or step.argrepr == "[]"
        if isinstance(right, _TAINTED) or (isinstance(left, _TAINTED) and not is_subscript):
            return False
        if isinstance(left, _Part):
            self._stack.append(left if right is _SLICE and left.depth > 1 else _part(left.depth - 1))
            return True
        self._stack.append(_UNKNOWN)
        return not isinstance(left, _TAINTED)

    def _build(self, step: dis.Instruction) -> bool:
        """Follow what makes a key, or cuts a piece out."""
        taken = self._pop(1 - _effect(step))
        owner, parts = (taken[0], taken[1:]) if taken else (_UNKNOWN, [])
        if any(isinstance(part, _TAINTED) for part in parts):
            return False
        if step.opname == "BINARY_SLICE":
            self._stack.append(
                _part(owner.depth if owner.depth > 1 else 0) if isinstance(owner, _Part) else _UNKNOWN
            )
            return isinstance(owner, _Part) or not isinstance(owner, _TAINTED)
        self._stack.append(_SLICE if step.opname == "BUILD_SLICE" else _UNKNOWN)
        return not isinstance(owner, _TAINTED)

    def _attribute(self, step: dis.Instruction) -> bool:
        (owner,) = self._pop(1)
        known: Any = _UNKNOWN
        attribute = str(step.argval)
        if isinstance(owner, _Part):
            gives = _READING_METHODS.get(attribute)
            if gives is None:
                return False
            if owner.depth > 1:
                known = _Method(gives(owner.depth))
        elif isinstance(owner, _TAINTED):
            return False
        elif isinstance(owner, ModuleType):
            known = vars(owner).get(attribute, _UNKNOWN)
        self._stack += [known] * (1 + _effect(step))
        return True

    def _set_of_function(self, step: dis.Instruction) -> bool:
        what, function = self._pop(2)
        self._stack.append(function)
        return not isinstance(what, _TAINTED)

    def _make_function(self, step: dis.Instruction) -> bool:
        taken = self._pop(1 - _effect(step))
        self._stack.append(next((one for one in taken if isinstance(one, CodeType)), _UNKNOWN))
        return not any(isinstance(one, _TAINTED) for one in taken)

    # -- calls

    def _call(self, step: dis.Instruction) -> bool:
        if step.opname.endswith("_KW"):
            names = self._pop(1)[0]
            self._keywords = len(names) if isinstance(names, tuple) else int(step.arg or 0)
        args, keywords = self._pop(int(step.arg or 0)), self._keywords
        self._keywords = 0
        # The callable, and with methods what they belong to.
        called = self._pop(1 if step.opname.startswith("CALL_FUNCTION") else 2)
        result: Any = _UNKNOWN
        if called and isinstance(called[0], _Method):
            result, called = called[0].gives, []
            if any(isinstance(arg, _TAINTED) for arg in args):
                return False
        elif any(isinstance(one, _TAINTED) for one in (*called, *args)):
            # From 3.11 on what a comprehension goes through lies where otherwise the owner of a method lies.
            if called and isinstance(called[-1], _Steps):
                called, args = called[:-1], [called[-1]]
            result = self._given(called, args, keywords)
            if result is None:
                return False
        self._stack.append(result)
        return True

    def _given(self, called: list[Any], args: list[Any], keywords: int) -> Any:
        """Return what a call gives that is given parts; None where it may change them."""
        positional, named = args[: len(args) - keywords], args[len(args) - keywords :]
        if any(isinstance(one, _TAINTED) for one in (*called, *named)):
            return None
        flat = all(one.depth == 1 for one in args if isinstance(one, _Part))
        for one in called:
            if id(one) in _CHOOSING and len(positional) > 1:
                return None
            if flat and id(one) in _READING_FLAT and not any(isinstance(arg, _Steps) for arg in args):
                return _UNKNOWN
            if id(one) in _READING_CALLS and len(args) == 1 and not keywords:
                return _READING_CALLS[id(one)][1](args[0].depth) if isinstance(args[0], _Part) else None
            if isinstance(one, (FunctionType, CodeType)) and not keywords:
                return _UNKNOWN if self._is_read_by(one, args) else None
        return None

    def _is_read_by(self, function: FunctionType | CodeType, args: list[Any]) -> bool:
        """Whether a function only reads what it is given."""
        code = function if isinstance(function, CodeType) else function.__code__
        namespace = self._namespace if isinstance(function, CodeType) else function.__globals__
        names = code.co_varnames[: code.co_argcount]
        if self._calls >= _MOST_CALLS or len(args) > len(names) or not _REACHING.isdisjoint(code.co_names):
            return False
        parts = {name: arg for name, arg in zip(names, args, strict=False) if isinstance(arg, _TAINTED)}
        if not parts.keys().isdisjoint(code.co_cellvars):
            return False
        return _Follower(code, namespace, parts, self._name, self._depth, self._calls + 1).is_harmless()


_ACTIONS: tuple[tuple[frozenset[str], Any], ...] = (
    (_MOVE_NOTHING, _Follower._pass),
    (frozenset({"FOR_ITER"}), _Follower._loop),
    (frozenset({"KW_NAMES"}), _Follower._note_keywords),
    (_LOADS_BY_NAME, _Follower._load),
    (frozenset({"POP_TOP", "POP_ITER"}), _Follower._drop),
    (frozenset({"RETURN_VALUE", "STORE_NAME", "STORE_GLOBAL", "STORE_DEREF"}), _Follower._store),
    (frozenset({"SWAP"}), _Follower._swap),
    (frozenset({"COPY"}), _Follower._copy),
    (frozenset({"GET_ITER"}), _Follower._iterate),
    (frozenset({"UNPACK_SEQUENCE"}), _Follower._unpack),
    (frozenset({"LOAD_ATTR", "LOAD_METHOD"}), _Follower._attribute),
    (frozenset({"MAKE_FUNCTION"}), _Follower._make_function),
    (frozenset({"SET_FUNCTION_ATTRIBUTE"}), _Follower._set_of_function),
    (_BUILDING, _Follower._build),
    (_COMPARING, _Follower._compare),
    (_CALLS, _Follower._call),
    (_TESTS, _Follower._test),
)
_ACTIONS_OF_MANY: tuple[tuple[tuple[str, ...], Any], ...] = (
    (("PUSH_NULL", "LOAD_CONST", "LOAD_SMALL_INT", "LOAD_CLOSURE", "LOAD_COMMON"), _Follower._constant),
    (("LOAD_FAST", "STORE_FAST"), _Follower._fast),
    (("BINARY_", "INPLACE_"), _Follower._binary),
)


def _effect(step: dis.Instruction) -> int:
    return dis.stack_effect(step.opcode, step.arg)
