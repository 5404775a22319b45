"""What ``app.events()`` tells: its events and their types, the stream, and what can be said after some of them."""

from __future__ import annotations

from .client.happened.event import Event
from .client.happened.eventstate import EventState as State
from .client.happened.eventstream import EventStream
from .core.happenings import TYPES

__all__ = ["TYPES", "Event", "EventStream", "State"]
