"""Notes of what arrays hold. A large one is not copied: its pages are put back."""

from __future__ import annotations

from typing import Any

from nbtasks.core.mapping import PrivatePages, can_be_undone


def lies_in(held: memoryview, array: Any) -> bool:
    """Whether an array lies in what a function was opened from, and that is a mapping."""
    import numpy as np

    def place(one: Any) -> int:
        return int(one.__array_interface__["data"][0])

    first = place(np.frombuffer(held, np.uint8))
    lies_in_it = first <= place(array) and place(array) + array.nbytes <= first + held.nbytes
    return lies_in_it and can_be_undone(held)


class HeldNote:
    """Of all large arrays together: where they were written to, what was there comes back."""

    __slots__ = ("_pages",)

    def __init__(self, held: memoryview) -> None:
        self._pages = PrivatePages(held)

    def restore(self) -> None:
        self._pages.undo()


class LayoutNote:
    """Of what the bytes of an array stand for. Where that was changed, the copy of the function is given up."""

    __slots__ = ("_layout", "_target")

    def __init__(self, target: Any) -> None:
        self._target, self._layout = target, _layout_of(target)

    def restore(self) -> None:
        if _layout_of(self._target) != self._layout:
            raise ValueError("it is another array now")


class ArrayNote:
    """Of what an array holds, as a copy."""

    __slots__ = ("_bytes", "_copy", "_target")

    def __init__(self, target: Any) -> None:
        self._target, self._copy, self._bytes = target, target.copy(), target.tobytes()

    def restore(self) -> None:
        if self._target.tobytes() != self._bytes:
            self._target[...] = self._copy


def _layout_of(array: Any) -> tuple[Any, ...]:
    return array.dtype, array.shape, array.strides, array.flags.writeable
