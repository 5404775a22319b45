"""What calls are called that workers name by batch and number: their ids, their tasks, what they stand for in a map."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from .bounded import short

if TYPE_CHECKING:
    from nbtasks.client.batches.outline import Outline
    from nbtasks.core.label import BatchLabel

#: Batches whose labels are kept.
_MOST = 2_000


class CallNames:
    """Looks labels of batches up, each once.

    Args:
        outlines_of: returns what is known of batches, by their ids.
    """

    def __init__(self, outlines_of: Callable[[Sequence[str]], Mapping[str, Outline]]) -> None:
        self._outlines_of = outlines_of
        self._labels: OrderedDict[str, BatchLabel] = OrderedDict()

    def look_up(self, batches: Iterable[str]) -> None:
        """Look some up in one go."""
        missing = [name for name in dict.fromkeys(batches) if name and name not in self._labels]
        if not missing:
            return
        # What nobody knows may be about to be recorded.
        self._labels.update({name: one.label for name, one in self._outlines_of(missing).items()})
        while len(self._labels) > _MOST:
            self._labels.popitem(last=False)

    def named(self, batch: str, index: int) -> tuple[str, str]:
        """Return id and task of a call, whose batch was looked up."""
        label = self._labels.get(batch)
        if label is None:
            return f"{batch}:{index}", ""
        return label.own_id or (batch if label.single else f"{batch}:{index}"), short(label.name)

    def items(self, calls: list[tuple[str, int]]) -> list[str]:
        """Return what calls are called beside others of their map, such as ``n=17``; empty where they are not."""
        self.look_up(batch for batch, _ in calls)
        return [self._item(batch, index) for batch, index in calls]

    def _item(self, batch: str, index: int) -> str:
        label = self._labels.get(batch)
        return label.items[index] if label is not None and 0 <= index < len(label.items) else ""
