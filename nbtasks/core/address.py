"""A queue's address: only workers of the same Python and with the same key read there."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

#: ``major.minor`` of this process. What it packs, no other one unpacks.
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"

_ADDRESS = re.compile(r"([\w.-]{1,64})@([0-9]{1,3}\.[0-9]{1,3})\.([0-9a-f]{8})")


class Address(str):
    """``queue@python.key``. It is text, for it is a part of keys and of what is signed.

    Attributes:
        queue: its name.
        python: ``major.minor`` of the Python that has packed its calls.
        key_id: id of the key that they are signed with.
    """

    __slots__ = ("key_id", "python", "queue")

    queue: str
    python: str
    key_id: str

    def __new__(cls, queue: str, python: str, key_id: str) -> Self:
        """Return the address of a queue for workers of one kind."""
        address = super().__new__(cls, f"{queue}@{python}.{key_id}")
        address.queue, address.python, address.key_id = queue, python, key_id
        return address

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what a text says that anybody may have written.

        Raises:
            ValueError: it is no address.
        """
        match = _ADDRESS.fullmatch(text)
        if match is None:
            raise ValueError("not an address")
        return cls(*match.groups())

    @property
    def kind(self) -> tuple[str, str]:
        """What a worker must have to take calls there: this Python, and a key with this id."""
        return self.python, self.key_id

    @property
    def lacking(self) -> str:
        """What a worker of this Python lacks that does not read there, in words."""
        return f"Python {self.python}" if self.python != PYTHON else f"key {self.key_id}"
