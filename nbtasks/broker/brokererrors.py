"""What brokers answer that is no answer: errors that only the program itself sees, below those of core/errors.py."""

from __future__ import annotations

from nbtasks.core.errors import BrokerUnavailable, OperationalError

from .unreachable import explain

#: Seconds that a server has to load its data; gigabytes take a while.
LOADING_S = 120.0


class BrokerLoading(BrokerUnavailable):
    """The server is up, and reads its data from disk."""


class CarrierAway(BrokerUnavailable):
    """What brings references to workers does not answer. The ledger may, and keeps all that there is."""


class LoginRefused(BrokerUnavailable):
    """The server refuses a login, or what its role does, that it has accepted before."""


class FunctionMissing(OperationalError):
    """The server does not have a function's record; send it along.

    Attributes:
        digest: the function's content hash.
    """

    def __init__(self, digest: str) -> None:
        super().__init__(f"the broker does not have function {digest[:12]}")
        self.digest = digest


class FlushGap(OperationalError):
    """The server misses flushes before this one (it was restored to an older state).

    Attributes:
        last: number of the last flush that it has.
    """

    def __init__(self, last: int) -> None:
        super().__init__(f"the broker has flushes up to {last} only")
        self.last = last


class NewsUnreadable(OperationalError):
    """Nothing can be read any more where news, or orders, are told: somebody has written there who is none of us.

    Whoever reads has it dropped, begins anew, and looks up what was missed.
    """


class PlaceLost(OperationalError):
    """What was read last is not where it was: the broker was emptied, put back to an older state, or is another one.

    What is told from now on might never come behind it, so whoever reads begins anew, from wherever makes sense.
    """

    def __init__(self) -> None:
        super().__init__("the broker has lost what was read last")


def unavailable(label: str, error: BaseException) -> BrokerUnavailable:
    """Return the error that says where the broker was looked for and what to do."""
    reason, step = explain(error, label)
    return BrokerUnavailable(
        f"the broker at {label} cannot be reached ({reason}); {step}; `nbtasks doctor` says more"
    )
