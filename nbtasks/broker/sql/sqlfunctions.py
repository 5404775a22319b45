"""Records of functions. Large ones lie in parts, for no statement may be as long as they."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .sqlblobs import put_parts

if TYPE_CHECKING:
    from .sqltransaction import Transaction

#: Bytes of a record that stands in its own row.
_MOST_IN_ROW = 2**20


def put_functions(tx: Transaction, records: Iterable[tuple[str, bytes]]) -> None:
    """Put records of functions, each behind its hash, whether or not they are there."""
    # In one order, so that no two wait for each other.
    some = sorted(records)
    large = [(digest, frame) for digest, frame in some if len(frame) > _MOST_IN_ROW]
    rows = [(tx.ns, digest, b"" if len(frame) > _MOST_IN_ROW else frame) for digest, frame in some]
    tx.put_many("@functions", ("ns", "digest"), ("ns", "digest", "frame"), rows, ("frame",))
    for digest, frame in large:
        put_parts(tx, _place(digest), memoryview(frame))


def function_record(tx: Transaction, digest: str) -> bytes | None:
    """Return a function's record; None where it is not there."""
    frame: bytes | None = tx.value("SELECT frame FROM @functions WHERE ns = ? AND digest = ?", tx.ns, digest)
    if frame is None or frame:
        return frame
    # With one question, so that all parts are of one record.
    statement = "SELECT data FROM @blob_parts WHERE ns = ? AND name = ? ORDER BY part"
    return b"".join(part for (part,) in tx.rows(statement, tx.ns, _place(digest))) or None


def drop_functions(tx: Transaction, digests: Sequence[str]) -> None:
    """Drop records of functions."""
    tx.run_in("DELETE FROM @functions WHERE ns = ? AND digest IN (*)", (tx.ns,), digests)
    places = [_place(digest) for digest in digests]
    tx.run_in("DELETE FROM @blob_parts WHERE ns = ? AND name IN (*)", (tx.ns,), places)


def _place(digest: str) -> str:
    """Return under which name the parts lie; pieces of values have a number behind the colon."""
    return f"{digest}:function"
