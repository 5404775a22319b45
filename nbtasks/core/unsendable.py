"""What stays in its process: it holds a secret, or something that only lives here."""

from __future__ import annotations

from typing import Any, NoReturn

from .errors import NotPicklable


def refuse_to_travel(value: Any, _protocol: Any = None) -> NoReturn:
    """Stand as ``__reduce_ex__`` in a class whose ``__stays_here__`` says what to do instead.

    Raises:
        NotPicklable: always.
    """
    kind = type(value)
    raise NotPicklable(f"{kind.__name__} stays in this process: {kind.__stays_here__}", kind.__name__)
