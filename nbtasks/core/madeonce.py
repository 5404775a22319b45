"""What an object computes when it is first asked for it, and keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")


class made_once(Generic[T]):  # noqa: N801 - it is used as property is
    """A property that is computed when it is first asked for, and kept in the object's dictionary.

    It takes the place of ``functools.cached_property``, which has a lock for all objects until Python 3.11: a process
    that is forked off while another thread has that would wait for ever. Threads that ask at once may compute it twice.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Self | T:
        if instance is None:
            return self
        made = instance.__dict__[self._name] = self._make(instance)
        return made
