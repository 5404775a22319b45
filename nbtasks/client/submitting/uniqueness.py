"""Calls of a unique task: the same call again is the one that waits or runs, whoever has submitted that."""

from __future__ import annotations

import inspect
import time
from typing import TYPE_CHECKING, Any

from nbtasks.client.home import BoundFor
from nbtasks.core.errors import ConfigError, UnknownCall
from nbtasks.core.ids import batch_of, new_id
from nbtasks.core.lock import Lock, key_of
from nbtasks.wire.digesting import digest
from nbtasks.wire.modules.byname import noting
from nbtasks.wire.modules.manifest import Needs

if TYPE_CHECKING:
    from nbtasks.client.batches.engine import Engine
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.client.definition import Definition

#: Seconds between two looks for a call that somebody else is just submitting.
_AGAIN_S = 0.02


def refuse_many(task: Definition) -> None:
    """Raise ConfigError where calls of a unique task are submitted together with others.

    Raises:
        ConfigError: it is unique.
    """
    if task.options.is_unique:
        raise ConfigError(
            f"{task.name} is unique (unique_for, unique_key), which counts for single calls: one of a map, a chain, a "
            f"group or a chord cannot be a call that there is already. Say [{task.name}.delay(x) for x in ...], or "
            f"{task.name}.with_options(unique_for=None, unique_key=None) here"
        )


def claimed(
    engine: Engine, task: Definition, args: tuple[Any, ...], kwargs: dict[str, Any], task_id: str | None
) -> tuple[Ledger | None, str]:
    """Return the batch of the call that there is, or None; and the id under which this one is to be submitted.

    Args:
        task_id: that the caller has given it.

    Raises:
        ConfigError: its key cannot be found out.
        BrokerUnavailable: the broker cannot be reached.
    """
    key = Lock(f"{task.name}:{_key(engine, task, args, kwargs)}").id
    own = task_id or new_id()
    mine, for_s = batch_of(str(own)), task.options.unique_for
    while True:
        found = engine.claim(key, mine, 0.0 if for_s is None or for_s is True else float(for_s))
        if found == mine:
            return None, own
        try:
            return engine.adopt(found), own
        except UnknownCall:
            # It is on its way; where its client has died, the key is free some seconds later.
            time.sleep(_AGAIN_S)


def _key(engine: Engine, task: Definition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    key = task.options.unique_key
    if key is not None:
        return f"k:{key_of(task.name, 'unique_key', key, args, kwargs)}"
    with BoundFor(engine.home), noting(Needs()):
        found = digest(_bound(task, args, kwargs))
    if found is None:
        raise ConfigError(
            f"{task.name} is unique by its arguments, and of these it cannot be said whether others are the same: say "
            "unique_key=, a function of the arguments that returns a text"
        )
    return f"a:{found.hex()}"


def _bound(task: Definition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the arguments in one form, however they were given."""
    signature = task.signature_of_calls()
    if signature is None:
        return args, sorted(kwargs.items())
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    named = {
        name: sorted(value.items())
        if signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD
        else value
        for name, value in bound.arguments.items()
    }
    return list(named.items())
