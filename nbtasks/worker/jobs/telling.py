"""Report to the broker. What it does not take costs its own calls: the rest goes through, and what comes later."""

from __future__ import annotations

from collections.abc import Callable

from nbtasks.broker.verbs.delivery import Delivery
from nbtasks.broker.verbs.finish import Finish
from nbtasks.core.errors import BackPressure, BrokerUnavailable, OperationalError
from nbtasks.worker.log import log_once, log_trouble


def tell(
    delivery: Delivery,
    report: Finish,
    on_refused: Callable[[str, int, int, str], None] = lambda *_: None,
) -> None:
    """Report as a whole, and where the broker does not take that, one by one.

    Args:
        on_refused: told batch, first and number of calls whose results are not taken, and why.

    Raises:
        BrokerUnavailable, BackPressure: all of it may be told again later.
    """
    try:
        delivery.finish(report)
    except (BrokerUnavailable, BackPressure):
        raise
    except OperationalError as error:
        log_trouble("the broker does not take what has ended; it is told one by one", error)
        delivery.finish(Finish(blobs=report.blobs))
        for part in report.alone():
            _tell_part(delivery, part, on_refused)


def _tell_part(delivery: Delivery, part: Finish, on_refused: Callable[[str, int, int, str], None]) -> None:
    try:
        delivery.finish(part)
    except (BrokerUnavailable, BackPressure):
        raise
    except OperationalError as error:
        meant = part.of_batch
        if meant is None:
            log_once(f"the broker does not take a report: {error}")
            return
        batch, first, count = meant
        log_once(f"batch {batch}: the broker does not take {count} result(s) from {first} on: {error}")
        on_refused(batch, first, count, f"the broker does not take its result: {error}")
