"""Calls as payloads: large arguments put apart, and those that all calls of a map have in common only once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from nbtasks.client.batches.parcel import Call
from nbtasks.client.home import BoundFor, Home
from nbtasks.core.callheader import ARGUMENT_LIMIT_BYTES
from nbtasks.core.errors import NotPicklable, PayloadTooLarge
from nbtasks.wire import pickling
from nbtasks.wire.kinds import generators
from nbtasks.wire.modules.byname import noting
from nbtasks.wire.modules.manifest import Needs
from nbtasks.wire.pickling import Parts
from nbtasks.wire.values import SHARED_BYTES, BlobPiece, Shelf, payload_of, sharing, size_of

_NEVER_LARGE = frozenset({int, float, bool, type(None), complex})


class Packer:
    """Packs the calls of one batch.

    Args:
        name: the task's, for errors.
        in_file: whether large values may go into files of this machine; asked where there is one.
        home: where they go.

    Attributes:
        pieces: what the broker has to store for the payloads that were made so far.
        needs: the modules that these may need.
    """

    def __init__(self, name: str, shelf: Shelf, in_file: Callable[[], bool], home: Home) -> None:
        self.pieces: list[BlobPiece] = []
        self.needs = Needs()
        self._home = home
        self._name = name
        self._shelf = shelf
        self._in_file = in_file
        #: Position among the arguments -> the value there, and its reference.
        self._shared: dict[int, tuple[Any, bytes]] = {}
        #: Position -> the hash of such a value, where it may change from one call to the next.
        self._hashes: dict[int, bytes] = {}

    def payloads(self, calls: Sequence[Call], first: int = 0) -> Iterator[bytes]:
        """Yield the payload of each call.

        Args:
            first: index of the first one, for errors.
        """
        self._share(calls)
        for number, call in enumerate(calls):
            payload = pickling.simple_call(call)
            yield self.payload(call, first + number) if payload is None else payload

    def payloads_at(self, calls: Sequence[Call], indexes: Sequence[int]) -> Iterator[bytes]:
        """Yield the payloads of some of the calls."""
        self._share(calls)
        for index in indexes:
            call = calls[index]
            payload = pickling.simple_call(call)
            yield self.payload(call, index) if payload is None else payload

    def taken(self, calls: Iterable[Call]) -> Iterator[tuple[Call, bytes]]:
        """Yield each call with its payload, packed before the next one is asked for: that may change its arguments."""
        for index, call in enumerate(calls):
            payload = pickling.simple_call(call)
            if payload is None:
                if index == 0:
                    self._share_first(call[0])
                self._drop_changed(call[0])
                payload = self.payload(call, index)
            yield call, payload

    def payload(self, call: Call, index: int) -> bytes:
        """Return the payload of one call.

        Raises:
            NotPicklable: an argument cannot travel.
            PayloadTooLarge: it is too large.
        """
        args, kwargs = call
        shared = [
            (place, reference)
            for place, (value, reference) in self._shared.items()
            if place < len(args) and args[place] is value
        ]
        if not shared:
            return self._packed(call, index)
        left_out = {place for place, _ in shared}
        rest = tuple(value for place, value in enumerate(args) if place not in left_out)
        return sharing(self._packed((rest, kwargs), index), shared)

    def _packed(self, call: Call, index: int) -> bytes:
        try:
            with BoundFor(self._home), noting(self.needs), generators.given():
                payload, pieces = payload_of(call, ARGUMENT_LIMIT_BYTES, self._shelf, self._in_file)
        except NotPicklable as error:
            raise self._unpicklable(call, index, error) from error
        except PayloadTooLarge as error:
            raise PayloadTooLarge(
                f"the arguments of {self._name} (call {index}) are too large: {error}; "
                "pass a path or a URL instead"
            ) from error
        self._keep(pieces)
        return payload

    def _keep(self, pieces: Iterable[BlobPiece]) -> None:
        # They are sent later, and perhaps again; whatever becomes of the value meanwhile, the call has it as it is now.
        self.pieces += [(key, bytes(data)) for key, data in pieces]

    def _unpicklable(self, call: Call, index: int, error: NotPicklable) -> NotPicklable:
        """Name the argument, rather than its place in what travels."""
        args, kwargs = call
        named = [*((f"argument {place}", value) for place, value in enumerate(args)), *kwargs.items()]
        for name, value in named:
            found = pickling.culprit(value)
            if found is not None:
                path = name + found.path
                return NotPicklable(f"{self._name}, call {index}: {path} {found.why}", path)
        return error

    def _share(self, calls: Sequence[Call]) -> None:
        """Put the arguments apart that are large, and the same object in all calls."""
        for place, value in common_arguments(calls):
            self._share_at(place, value)

    def _share_first(self, args: tuple[Any, ...]) -> None:
        """Put the large arguments of the first call apart: the others may have the same ones."""
        for place, value in enumerate(args):
            parts = None if _is_small(value) else self._share_at(place, value)
            if parts is not None and type(value) not in (str, bytes):
                self._hashes[place] = _hash_of(parts)

    def _share_at(self, place: int, value: Any) -> Parts | None:
        for other, known in self._shared.items():
            if known[0] is value:
                self._shared[place] = known
                if other in self._hashes:
                    self._hashes[place] = self._hashes[other]
                return None
        try:
            with BoundFor(self._home), noting(self.needs), generators.common() as sent:
                parts = pickling.dumps(value)
        except NotPicklable:
            # Said with its call, when that is packed.
            return None
        if not SHARED_BYTES <= size_of(parts) <= ARGUMENT_LIMIT_BYTES:
            return None
        sent()
        reference, pieces = self._shelf.put(parts, self._in_file())
        self._shared[place] = (value, reference)
        self._keep(pieces)
        return parts

    def _drop_changed(self, args: tuple[Any, ...]) -> None:
        for place, before in list(self._hashes.items()):
            if place < len(args) and args[place] is self._shared[place][0]:
                with BoundFor(self._home), generators.common():
                    now = _hash_of(pickling.dumps(args[place]))
                if now != before:
                    del self._shared[place], self._hashes[place]


def _hash_of(parts: Parts) -> bytes:
    hashed = hashlib.blake2b(digest_size=16)
    for part in parts:
        hashed.update(part)
    return hashed.digest()


def _is_small(value: Any) -> bool:
    return type(value) in _NEVER_LARGE or (type(value) in (str, bytes) and len(value) < SHARED_BYTES)


def common_arguments(calls: Sequence[Call]) -> Iterator[tuple[int, Any]]:
    """Yield (position, value) of arguments that the first, the middle and the last call have in common."""
    if len(calls) < 2:
        return
    others = [calls[len(calls) // 2][0], calls[len(calls) - 1][0]]
    for place, value in enumerate(calls[0][0]):
        if not _is_small(value) and all(place < len(args) and args[place] is value for args in others):
            yield place, value
