"""A carrier: it tells a worker that waits that something lies in a queue. What lies there, the ledger knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

#: References to one address that wait in a carrier, at most: who is busy looks into the ledger again by itself when it
#: is free, so there need not be more than there are workers that may wait.
MOST_REFERENCES = 1000


class Carrier(Protocol):
    """One connection to a carrier, for one thread at a time.

    A reference says that one entry more lies at an address, and nothing else: there is nothing secret in it, and
    nothing that would have to be believed. Who is brought one looks in the ledger and takes what is first there. So it
    does no harm if one comes twice, or too many; and where one is lost, the ledger's owner sees that too few are there
    (:meth:`length`), and puts another one.
    """

    @property
    def is_exact(self) -> bool:
        """Whether :meth:`length` is right at the moment; where it is late, few are put again, and seldom."""

    def check(self) -> None:
        """See that the carrier is there and lets us in.

        Raises:
            CarrierAway: it cannot be reached.
            ConfigError: it does not let us in, or cannot do what is needed.
        """

    def put(self, numbers: Mapping[str, int]) -> None:
        """Put references, so many for each address; the carrier has them when this returns.

        Raises:
            CarrierAway: nobody knows which of them it has.
        """

    def take(self, addresses: Sequence[str], within_s: float) -> str | None:
        """Wait for a reference to one of these addresses, and return which; None where none came in time.

        It stays this one's until :meth:`settle`; nothing else comes before that. If this one dies, another one gets it.
        """

    def settle(self, served: bool, back: bool = False) -> None:
        """Be rid of the reference that was taken.

        Args:
            served: something is to be done now, so that this one takes no reference until it waits again.
            back: somebody else is to have the reference.
        """

    def length(self, address: str) -> int:
        """Return how many references to an address wait there, those that are on their way to a worker not counted."""

    def close(self) -> None:
        """Close the connection; what is done next opens a new one. Never raises."""

    def drop(self) -> None:
        """Let go of a connection that may hear nothing any more: as :meth:`close`, but no answer is waited for."""

    def abort(self) -> None:
        """Cut the connection under what another thread does over it. Never raises."""

    def forsake(self) -> None:
        """Let go of the connection in a process that was forked off: the parent's goes on, and is told nothing."""
