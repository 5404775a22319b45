"""The attempt number of an entry: tries, and losses in millions.

Tries are 1 for the first and one more for each retry; a loss is a worker that died under the call. A loss does not
use up a retry.
"""

from __future__ import annotations

_LOSS = 1_000_000

#: A call is given up when it was lost this often with the process that executed it.
MOST_LOSSES = 3
#: The same where nobody knows which call of a chunk was executing: a whole machine was lost.
MOST_LOSSES_UNSEEN = 10


def tries(attempt: int) -> int:
    """Return 1 for the first try, one more for each retry."""
    return attempt % _LOSS


def losses(attempt: int) -> int:
    """Return how often a worker died under the call."""
    return attempt // _LOSS


def after_loss(attempt: int) -> int:
    """Return the attempt number after a lost worker."""
    return attempt + _LOSS


def after_retry(attempt: int) -> int:
    """Return the attempt number of the next try; after the highest one it stays the same."""
    return attempt + (tries(attempt) < _LOSS - 1)
