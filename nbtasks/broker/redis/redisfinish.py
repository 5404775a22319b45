"""What one flush of a worker reports: results, events, retries, entries that are worked off. Goes to finish.lua."""

from __future__ import annotations

from nbtasks.broker.verbs.finish import PUSH_BYTES, Finish

from .channel import Argument
from .keys import GROUP, Keys
from .link import Link
from .redissubmission import put_blobs


def for_script(report: Finish, keys: Keys) -> tuple[list[Argument], list[Argument]]:
    """Return the script's keys and arguments; blobs are stored before."""
    return [keys.root], [GROUP, PUSH_BYTES, *report.args, *report.acks]


def finish(link: Link, keys: Keys, report: Finish) -> int:
    """Report in one round trip, after the blobs; returns how many results were new."""
    put_blobs(link, report.blobs)
    return int(link.script("finish", *for_script(report, keys)))
