"""The lanes of a queue by their letters: high, normal and low priority, and for each of them one for returned work.

They are spelled here alone: what keeps calls puts them into its scripts (broker/redis/scripts/__init__.py).
"""

from __future__ import annotations

#: In the order of service: returned work of each priority goes first.
LANES = "HhMmLl"
HIGH, NORMAL, LOW = FRESH = "hml"
#: In the order in which calls move: from each lane to that for what is returned.
MOVING = "hHmMlL"
#: What is said of a call of which only its lane is known.
_PRIORITIES = {HIGH: 8, NORMAL: 5, LOW: 2}


def lane_of(priority: int) -> str:
    """Return the lane of a priority from 0 (later) to 9 (sooner)."""
    return HIGH if priority >= 7 else NORMAL if priority >= 4 else LOW


def priority_of(lane: str) -> int:
    """Return a priority whose calls go through a lane."""
    return _PRIORITIES.get(lane.lower(), _PRIORITIES[NORMAL])


def returned(lane: str) -> str:
    """Return the lane for what was taken from a lane and given back."""
    return lane.upper()


def rank(lane: str) -> int:
    """Return a number that is smaller for a lane that is served sooner; what was given back counts as before."""
    return LANES.find(lane.lower())
