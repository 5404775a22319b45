"""Where a batch comes from, and what it is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nbtasks.core.submitter import Submitter


@dataclass
class Provenance:
    """Where a batch comes from and what it is called."""

    name: str
    queue: str
    label: str | None = None
    kind: str = "call"
    submitter: Submitter = Submitter()  # noqa: RUF009 # it is frozen
    quiet: bool = False
    single: bool = True
    eta_at: float | None = None
    on_error: str = "raise"
    #: The id of its call, where the caller has given it one.
    own_id: str = ""
    #: The id of its workflow; empty where it is a part of none.
    workflow: str = ""
    #: Of few calls that another process has submitted: what each is called.
    items: tuple[str, ...] = ()
    #: Its step in that workflow, where another process has submitted it and all of it is known here.
    step: Any = None

    def item(self, index: int) -> str:
        """Return what a call is called; empty where that is not told."""
        return self.items[index] if index < len(self.items) else ""
