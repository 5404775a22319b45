"""Generators of random numbers: every call has a stream of its own, and the same one when it is run again.

A generator that is copied gives the same numbers in every copy, so none is copied where several calls would have it:

- The hidden ones behind ``random.random`` and ``numpy.random.rand`` are each process's own.
- One that a function captures is asked for a seed when the function is sent. Each call gets a new generator of the
  same kind, made from that seed and the call's index.
- One that is an argument arrives as it is the first time, and goes on here. Whoever gets the same object later on gets
  a new one, made from a seed that this one was asked for.

So two runs that begin with the same seed are the same, however many workers, chunks and attempts there are; and two
submits in a row are not, as two uses of a generator are not.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import hashlib
import pickle
import random
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from nbtasks.wire.modules.byname import found_by_name

from .opening import current_opening

#: Generators that were arguments and are remembered, the last ones.
_MOST_SENT = 256
_SEED_BITS = 128
_inst: Any = vars(random)["_inst"]


@dataclass(frozen=True)
class _Family:
    """How generators of one kind are handled.

    Attributes:
        draw: asks one for a seed, which it will not give again.
        state: returns what its next numbers follow from.
        made_of: returns what a new one of the same kind is made from, beside its seed.
        make: makes one of that, of a seed and of an index.
    """

    draw: Callable[[Any], int]
    state: Callable[[Any], Any]
    made_of: Callable[[Any], tuple[Any, ...]]
    make: Callable[..., Any]
    is_of_numpy: bool = True
    #: What is made from one does not change it, so that the same argument means the same in every call.
    is_constant: bool = False


# -- sending


@dataclass
class _Sending:
    """What is written just now.

    Attributes:
        captured: by a function; else arguments of a call.
        common: arguments that several calls have; these generators are in it.
    """

    captured: bool = False
    common: list[tuple[_Family, Any]] | None = None


_sending: ContextVar[_Sending | None] = ContextVar("nbtasks_sending", default=None)


class _Writing:
    """While this is entered, something is sent. A plain class, for it stands around each call that is packed."""

    __slots__ = ("_token", "_what")

    def __init__(self, what: _Sending) -> None:
        self._what = what

    def __enter__(self) -> None:
        self._token = _sending.set(self._what)

    def __exit__(self, *_: object) -> None:
        _sending.reset(self._token)


_CAPTURED, _GIVEN = _Sending(captured=True), _Sending()


def captured() -> _Writing:
    """Write a function: its calls get streams of their own."""
    return _Writing(_CAPTURED)


def given() -> _Writing:
    """Write the arguments of one call."""
    return _Writing(_GIVEN)


@contextlib.contextmanager
def common() -> Iterator[Callable[[], None]]:
    """Write what several calls are given; the result is to be called if it is sent."""
    found: list[tuple[_Family, Any]] = []

    def sent() -> None:
        for family, value in found:
            family.draw(value)

    with _Writing(_Sending(common=found)):
        yield sent


#: Place in memory -> a generator that was an argument, and the state in which it was sent first.
_sent: OrderedDict[int, tuple[Any, Any]] = OrderedDict()


def reduced(value: Any) -> Any:
    """Return how a generator is pickled; NotImplemented for what is none, and for one that is sent as it is."""
    kind: Any = type(value)
    family = _family_of(kind)
    if family is None:
        return NotImplemented
    if is_hidden_global(value):
        return found_by_name, ("random", "_inst") if value is _inst else ("numpy.random.mtrand", "_rand")
    if isinstance(value, random.SystemRandom):
        return type(value), ()
    sending = _sending.get()
    if sending is None or (family.is_constant and not sending.captured):
        return NotImplemented
    return _as_sent(family, value, sending)


def _as_sent(family: _Family, value: Any, sending: _Sending) -> Any:
    if sending.captured:
        return _stream(family, value, family.draw(value))
    if sending.common is not None:
        sending.common.append((family, value))
        return _stream(family, value, _number(family.state(value)))
    return _argument(family, value)


def _stream(family: _Family, value: Any, seed: int) -> Any:
    return stream, (family.make, seed, *family.made_of(value))


def _argument(family: _Family, value: Any) -> Any:
    first, state = _sent.get(id(value)), family.state(value)
    if first is not None and first[1] != state:
        return _stream(family, value, family.draw(value))
    _sent[id(value)] = (value, state)
    if len(_sent) > _MOST_SENT:
        _sent.popitem(last=False)
    as_it_is = copy.deepcopy(value)
    # What is sent next, or drawn here, is to be something else.
    family.draw(value)
    if family.is_of_numpy and type(value).__module__.startswith("numpy."):
        # In one piece: its parts are generators as well.
        return pickle.loads, (pickle.dumps(as_it_is, protocol=5),)
    return as_it_is.__reduce_ex__(5)


# -- opening


#: The batch whose calls are seeded by the user, and the seed.
_user_seed: ContextVar[tuple[str, int] | None] = ContextVar("nbtasks_seed", default=None)


def stream(make: Callable[..., Any], seed: int, *made_of: Any) -> Any:
    """Return the generator that a call has; named in pickles, so it keeps its name and place."""
    opening, chosen = current_opening(), _user_seed.get()
    if opening is None:
        return make(seed, 0, *made_of)
    opening.streams += 1
    if chosen is not None and chosen[0] == opening.batch:
        seed = _number((chosen[1], opening.streams))
    return make(seed, opening.index or 0, *made_of)


def is_hidden_global(value: Any) -> bool:
    """Whether it is the generator behind the functions of ``random`` or ``numpy.random``."""
    numpy = sys.modules.get("numpy.random.mtrand")
    return value is _inst or (numpy is not None and value is numpy._rand)


# -- the hidden ones, in a worker


def seed_call(batch: str, index: int, seed: int) -> None:
    """Have a call draw the same numbers whenever it is run with this seed: from hidden generators and captured ones."""
    _user_seed.set((batch, seed))
    random.seed(_number((seed, index)))
    with contextlib.suppress(ImportError):
        from numpy.random import seed as seed_numpy

        seed_numpy(_words(_number((seed, index, "numpy"))))  # noqa: NPY002 - what tasks draw from


@contextlib.contextmanager
def seeded_here(seed: int | None, batch: str = "", index: int = 0) -> Iterator[None]:
    """Run a call in the notebook as one with this seed is run in a worker; what is drawn here later does not change."""
    if seed is None:
        yield
        return
    token, state = _user_seed.set(None), random.getstate()
    numpy = sys.modules.get("numpy.random")
    of_numpy = numpy and numpy.get_state()
    try:
        seed_call(batch, index, seed)
        yield
    finally:
        _user_seed.reset(token)
        random.setstate(state)
        if numpy is not None:
            numpy.set_state(of_numpy)


class Hidden:
    """Renews the hidden generators where a call has seeded them: no other call's numbers are to follow from that.

    What numpy's has become in a call that has imported numpy is not known, so it is renewed then as well.

    Attributes:
        seeded: somebody has seeded one.
        modules: how many modules there were when it was looked whether numpy is one of them.
    """

    def __init__(self) -> None:
        self.seeded, self.modules = False, 0
        self._watches_numpy = False
        watch = self

        class Watched(random.Random):
            def seed(self, *args: Any, **kwargs: Any) -> None:
                watch.seeded = True
                super().seed(*args, **kwargs)

            def setstate(self, state: Any) -> None:
                watch.seeded = True
                super().setstate(state)

        _inst.__class__ = Watched
        random.seed, random.setstate = _inst.seed, _inst.setstate
        self.renew()

    def renew(self) -> None:
        """Seed them by chance, if need be."""
        self.modules = len(sys.modules)
        if not self._watches_numpy and "numpy.random" in sys.modules:
            self._watch_numpy()
        if self.seeded:
            self.seeded = False
            random.Random.seed(_inst)
            if self._watches_numpy:
                self._seed_numpy()

    def _watch_numpy(self) -> None:
        module: Any = sys.modules["numpy.random"]
        if not hasattr(module, "mtrand"):
            # Another thread is importing it.
            return
        self._watches_numpy = self.seeded = True
        self._seed_numpy = module.seed
        for name in ("seed", "set_state"):
            watched = self._watched(getattr(module, name))
            for place in (module, module.mtrand):
                setattr(place, name, watched)

    def _watched(self, function: Any) -> Any:
        @functools.wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Any:
            self.seeded = True
            return function(*args, **kwargs)

        return watched


# -- kinds


def _number(value: Any) -> int:
    """Return a number for a seed, the same one for the same value."""
    digest = hashlib.sha256(repr(value).encode()).digest()
    return int.from_bytes(digest[: _SEED_BITS // 8], "little")


def _words(number: int) -> list[int]:
    return [number >> shift & 0xFFFFFFFF for shift in range(0, _SEED_BITS, 32)]


def new_random(seed: int, index: int, kind: Any, attributes: dict[str, Any]) -> Any:
    """Make a ``random.Random``; named in pickles, so it keeps its name and place."""
    made = kind.__new__(kind)
    random.Random.seed(made, _number((seed, index)))
    vars(made).update(attributes)
    return made


def new_of_numpy(seed: int, index: int, kind: Any, bits: Any) -> Any:
    """Make a ``Generator`` or ``RandomState`` of numpy; named in pickles, as above."""
    return kind(bits(new_seeds(seed, index)))


def new_bits(seed: int, index: int, kind: Any) -> Any:
    """Make a ``BitGenerator`` of numpy; named in pickles, as above."""
    return kind(new_seeds(seed, index))


def new_seeds(seed: int, index: int) -> Any:
    """Make a ``SeedSequence`` of numpy; named in pickles, as above."""
    from numpy.random import SeedSequence

    return SeedSequence(seed, spawn_key=(index,))


def _random_attributes(value: Any) -> dict[str, Any]:
    return {**vars(value), "gauss_next": None}


def _draw_of_bits(value: Any) -> int:
    from numpy.random import Generator

    return _draw_of_numpy(Generator(value))


def _draw_of_numpy(value: Any) -> int:
    return int.from_bytes(value.bytes(_SEED_BITS // 8), "little")


def _draw_of_seeds(value: Any) -> int:
    return functools.reduce(
        lambda number, word: number << 32 | int(word), value.spawn(1)[0].generate_state(4), 0
    )


_FAMILIES = {
    "random.Random": _Family(
        lambda value: int(value.getrandbits(_SEED_BITS)),
        lambda value: value.getstate(),
        lambda value: (type(value), _random_attributes(value)),
        new_random,
        is_of_numpy=False,
    ),
    "numpy.random.Generator": _Family(
        _draw_of_numpy,
        lambda value: repr(value.bit_generator.state),
        lambda value: (type(value), type(value.bit_generator)),
        new_of_numpy,
    ),
    "numpy.random.RandomState": _Family(
        _draw_of_numpy,
        lambda value: pickle.dumps(value.get_state(legacy=False)),
        lambda value: (type(value), type(value._bit_generator)),
        new_of_numpy,
    ),
    "numpy.random.BitGenerator": _Family(
        _draw_of_bits,
        lambda value: pickle.dumps(value.state),
        lambda value: (type(value),),
        new_bits,
    ),
    "numpy.random.SeedSequence": _Family(
        _draw_of_seeds,
        lambda value: (value.entropy, value.spawn_key, value.n_children_spawned),
        lambda _: (),
        new_seeds,
        is_constant=True,
    ),
}


@functools.lru_cache(4096)
def _family_of(kind: type) -> _Family | None:
    for base in kind.__mro__:
        # Of some that are written in C it is no text.
        package = ".".join(str(base.__module__).split(".")[:2])
        family = _FAMILIES.get(f"{package}.{base.__name__}")
        if family is not None:
            return family
    return None
