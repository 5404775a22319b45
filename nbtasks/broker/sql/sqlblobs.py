"""Pieces of large values, in parts that any statement may bring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbtasks.broker.verbs.submission import BLOB_GRACE_MS

if TYPE_CHECKING:
    from .sqllink import SqlLink
    from .sqltransaction import Transaction

#: Bytes of a part: as text in a statement it takes twice that at most, and the smallest server takes 16 MiB.
_PART = 2**20


class SqlBlobs:
    """Names, reads and drops them."""

    def __init__(self, line: SqlLink) -> None:
        self._line = line

    def key(self, name: str, piece: int) -> str:
        """Return the key of a piece."""
        return f"{name}:{piece}"

    def name_of(self, key: str) -> str | None:
        """Return the name that :meth:`key` was asked for with; None where it is none of ours."""
        name, colon, piece = key.partition(":")
        return name if colon and piece.isdigit() and name.isalnum() else None

    def read(self, key: str, target: memoryview) -> int | None:
        """Read a piece into ``target``; return its length, also where it does not fit."""
        return self._line.read(read_blob, key, target)

    def have(self, keys: Sequence[str]) -> list[bool]:
        """Return of each key whether it is there."""
        there = self._line.read(blobs_there, keys) if keys else set()
        return [key in there for key in keys]

    def drop(self, keys: Sequence[str]) -> None:
        """Drop pieces of large values."""
        if keys:
            self._line.write(drop_blobs, list(keys))


def put_blobs(line: SqlLink, blobs: Sequence[tuple[str, bytes | memoryview]]) -> None:
    """Store pieces of large values, to be taken over by a batch or a result: one after the other."""
    for key, data in blobs:
        line.write(put_blob, key, memoryview(data).cast("B"))


def put_blob(tx: Transaction, key: str, data: memoryview) -> None:
    """Store a piece; one that a batch has taken over stays that batch's."""
    there = tx.row("SELECT size, expires FROM @blobs WHERE ns = ? AND name = ? FOR UPDATE", tx.ns, key)
    expires = tx.now_ms() + BLOB_GRACE_MS if there is None or there[1] is not None else None
    row = {"ns": tx.ns, "name": key, "size": len(data), "expires": expires}
    tx.put("@blobs", ("ns", "name"), row, ("size", "expires"))
    put_parts(tx, key, data)


def put_parts(tx: Transaction, name: str, data: memoryview) -> None:
    """Put something in parts, in the place of what is there under its name."""
    tx.run("DELETE FROM @blob_parts WHERE ns = ? AND name = ?", tx.ns, name)
    for part, start in enumerate(range(0, len(data), _PART)):
        tx.run(
            "INSERT INTO @blob_parts (ns, name, part, data) VALUES (?, ?, ?, ?)",
            *(tx.ns, name, part, bytes(data[start : start + _PART])),
        )


def read_blob(tx: Transaction, key: str, target: memoryview) -> int | None:
    """Read a piece into ``target`` where it fits; return its length."""
    size = tx.value(
        "SELECT size FROM @blobs WHERE ns = ? AND name = ? AND (expires IS NULL OR expires > ?)",
        *(tx.ns, key, tx.now_ms()),
    )
    if size is not None and size <= len(target):
        statement = "SELECT data FROM @blob_parts WHERE ns = ? AND name = ? AND part = ?"
        for part, start in enumerate(range(0, size, _PART)):
            data = tx.value(statement, tx.ns, key, part)
            target[start : start + len(data)] = data
    return None if size is None else int(size)


def blobs_there(tx: Transaction, keys: Sequence[str]) -> set[str]:
    """Return those keys under which there is a piece."""
    statement = "SELECT name FROM @blobs WHERE ns = ? AND name IN (*) AND (expires IS NULL OR expires > ?)"
    return {name for (name,) in tx.rows_in(statement, (tx.ns,), keys, tx.now_ms())}


def drop_blobs(tx: Transaction, keys: Sequence[str]) -> None:
    """Drop pieces."""
    tx.run_in("DELETE FROM @blob_parts WHERE ns = ? AND name IN (*)", (tx.ns,), keys)
    tx.run_in("DELETE FROM @blobs WHERE ns = ? AND name IN (*)", (tx.ns,), keys)
