"""Limits of tasks that were set while workers run: they count in place of what a task says itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from nbtasks.core.options import TaskOptions
from nbtasks.worker.noticeboard import NoticeBoard


class GivenLimits:
    """What one child knows of them."""

    def __init__(self, board: NoticeBoard) -> None:
        self._board = board
        self._version = -1
        self._limits: Mapping[str, Mapping[str, Any]] = {}

    def applied(self, task: str, options: TaskOptions) -> TaskOptions:
        """Return a task's options as they are with them."""
        if self._board.version != self._version:
            self._version, notice = self._board.read()
            self._limits = notice.limits
        limits = self._limits.get(task)
        return dataclasses.replace(options, **limits) if limits else options
