"""Calls that nobody takes, for they wait for workers of another kind."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stranded:
    """Calls that no worker takes, and this machine would not either.

    Attributes:
        entries: how many entries of the queue they are.
        needs: what a worker for them must have, in words.
    """

    queue: str
    entries: int
    needs: str
