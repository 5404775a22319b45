"""What Jupyter's server sends to a page, as it comes through the page's socket."""

from __future__ import annotations

import base64
import json
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

_OF_OUTPUTS = {"comm_open", "comm_msg", "comm_close", "display_data", "update_display_data"}


class Arrivals:
    """Messages of the kernel from now on, with all that travels with them: headers too."""

    def __init__(self, page: Page) -> None:
        self._frames: list[bytes] = []
        watched = page.context.new_cdp_session(page)
        watched.on("Network.webSocketFrameReceived", self._note)
        watched.send("Network.enable")

    def of_the_card(self) -> list[int]:
        """Return how many bytes each message to a widget or another output had."""
        return [len(frame) for frame in self._frames if _kind(frame) in _OF_OUTPUTS]

    def _note(self, event: dict[str, Any]) -> None:
        frame = event["response"]
        if frame["opcode"] == 2:
            self._frames.append(base64.b64decode(frame["payloadData"]))


def _kind(frame: bytes) -> str:
    """Return the type of a message in the protocol v1.kernel.websocket.jupyter.org."""
    (count,) = struct.unpack_from("<Q", frame)
    _, header, after, *_ = struct.unpack_from(f"<{count}Q", frame, 8)
    return str(json.loads(frame[header:after])["msg_type"])
