"""Submit the failed calls of a batch again, with the task as it is now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtasks.core import states as st
from nbtasks.core.errors import ConfigError

from .dispatch import MapOptions, submit_map

if TYPE_CHECKING:
    from .batch import Batch
    from .group import GroupResult


def retry_failed(batch: Batch) -> GroupResult:
    """Submit what failed or was revoked, as a new map.

    Raises:
        ConfigError: nothing failed, or the arguments are not known in this process.
    """
    if batch.calls is None or batch.task is None:
        raise ConfigError(f"the arguments of {batch.name} ({batch.id}) are not known in this process; submit it again")
    bad = [i for i in range(batch.n) if batch.states[i] in (st.FAILURE_CODE, st.REVOKED_CODE)]
    if not bad:
        raise ConfigError(f"no call of {batch.name} ({batch.id}) has failed")
    tuples = [batch.calls[index][0] for index in bad]
    label = f"{batch.label or batch.name} (again)"
    return submit_map(batch.task, tuples, MapOptions(label=label, quiet=batch.quiet), {})
