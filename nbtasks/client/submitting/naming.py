"""Names for the results of calls: a digest of the code, what it captures, and the arguments. See core/memo.py.

Calls with the same name give the same result, as far as that follows from these. Two names of equal calls may differ:
then the call runs.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbtasks.client.batches.parcel import Call
from nbtasks.client.definition import Definition
from nbtasks.client.home import BoundFor, Home
from nbtasks.core.memo import UNNAMED
from nbtasks.wire import pickling
from nbtasks.wire.digesting import digest
from nbtasks.wire.modules.byname import noting
from nbtasks.wire.modules.manifest import Needs
from nbtasks.wire.modules.requirements import installed_versions

from .packing import common_arguments

if TYPE_CHECKING:
    from nbtasks.wire.codec import Codec

#: Changes when what goes into a name does.
_KIND = b"nbtasks memo 1"


class _Apart:
    """Stands for an argument that many calls have, by its digest."""

    def __init__(self, number: int, digest: bytes) -> None:
        self._parts = (number, digest)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Apart, self._parts


class Naming:
    """Names the results of calls of one task.

    Args:
        home: where the calls go.
        seed: of their random numbers.
    """

    def __init__(self, codec: Codec, home: Home, task: Definition, seed: int | None) -> None:
        self._codec = codec
        self._home = home
        self._seed = seed
        with BoundFor(home), noting(Needs()) as needs:
            function = digest(task.function)
        self._base = None if function is None else self._mixed(_scope(home, task), function, needs)

    def names(self, calls: Sequence[Call], first: int = 0) -> bytes:
        """Return the names of calls, one after another; UNNAMED for those that have none.

        Args:
            first: index of the first one.
        """
        if self._base is None:
            return UNNAMED * len(calls)
        common: dict[int, tuple[Any, _Apart]] = {}
        for number, (place, value) in enumerate(common_arguments(calls)):
            found = self._digest(value)
            if found is not None:
                alike = next((one[1] for one in common.values() if one[0] is value), None)
                common[place] = (value, alike or _Apart(number, found))
        return b"".join(self._name(self._base, call, common, first + n) for n, call in enumerate(calls))

    def _name(self, base: bytes, call: Call, common: dict[int, tuple[Any, _Apart]], index: int) -> bytes:
        # Random numbers that follow from a seed follow from the call's place, too.
        place = b"" if self._seed is None else b"%d %d" % (self._seed, index)
        payload = pickling.simple_call(call)
        if payload is not None:
            return hashlib.sha256(b"%b %b s%b" % (base, place, payload)).digest()
        args, kwargs = call
        if common:
            args = tuple(
                common[n][1] if n in common and common[n][0] is value else value
                for n, value in enumerate(args)
            )
        found = self._digest((args, kwargs))
        return UNNAMED if found is None else hashlib.sha256(b"%b %b d%b" % (base, place, found)).digest()

    def _digest(self, value: Any) -> bytes | None:
        """Return the digest of a value, and of the modules that it needs."""
        with BoundFor(self._home), noting(Needs()) as needs:
            found = digest(value)
        if found is None or not needs.modules:
            return found
        return self._mixed(b"", found, needs)

    def _mixed(self, scope: bytes, found: bytes, needs: Needs) -> bytes:
        hashed = hashlib.sha256(scope)
        hashed.update(found)
        roots = needs.roots()
        if roots[0] or roots[1]:
            hashed.update(hashlib.sha256(self._codec.manifest(roots).packed).digest())
        hashed.update(repr(installed_versions(needs)).encode())
        return hashed.digest()


def _scope(home: Home, task: Definition) -> bytes:
    """Return what a name is within: whose results these are, and how they are made."""
    options = task.options
    return b"%b %b" % (
        _KIND,
        repr(
            (sys.version_info[:2], home.namespace, home.key_id, options.bind, options.ignore_result)
        ).encode(),
    )
