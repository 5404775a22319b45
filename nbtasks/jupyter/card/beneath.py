"""What calls display, as outputs of the notebook below their card.

They are ordinary outputs, so Jupyter draws them as it draws all others: Markdown with formulas, interactive figures,
tables in its own style; it trusts them as ``Out[n]``, saves them, and every front end and converter knows them. Each
has a display id, so the call's ``update_display()`` and ``clear_output()`` reach it later. Of a map there is one, a
gallery.

A display id means something only to the page that has run the cell, and until it is reloaded. So each output bears the
card that it belongs to, its place and its version; a page compares these and asks for what it lacks (page/below.js).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from nbtasks.client.batches.shown import which_call
from nbtasks.core.outputs import RichOutput

from .gallery import as_text, gallery

if TYPE_CHECKING:
    from nbtasks.client.batches.loosecalls import Run

#: Shows a new output in a place of the notebook: data, metadata, display id.
Publish = Callable[[dict[str, Any], dict[str, Any], str], None]

#: Seconds between two galleries.
_GALLERY_EVERY_S = 1.0
_NOTHING = RichOutput({"text/plain": ""})


def belongs_beneath(value: RichOutput) -> bool:
    """Whether a result is to be drawn by Jupyter itself, and not within the card."""
    html = value.data.get("text/html", "")
    if "<script" in html or any(kind.startswith("application/vnd.") for kind in value.data):
        return True
    return not html and "image/png" not in value.data and set(value.data) > {"text/plain"}


@dataclass
class _Place:
    """Outputs one below the other, where a card is shown."""

    publish: Publish
    ids: list[str] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)


class Beneath:
    """The outputs of one batch's calls, in each place where its card is shown.

    Args:
        update: replaces what an output shows.
        value: returns a result that is to be shown here as well.

    Attributes:
        card: what pages know the card by; without it they cannot ask.
    """

    def __init__(self, update: Publish, value: Callable[[], RichOutput | None]) -> None:
        self.card = ""
        self._update = update
        self._value = value
        self._places: list[_Place] = []
        self._outputs: list[RichOutput] = []
        self._versions: list[int] = []
        #: What is known to be shown: the version of the outputs, and whether the batch had ended.
        self._seen = (-1, False)
        self._gallery_at = 0.0

    def show(self, batch: Run, publish: Publish) -> None:
        """Show what there is in one more place, and there what comes."""
        self._places.append(_Place(publish))
        self._seen = (-1, False)
        self.refresh(batch)

    def refresh(self, batch: Run) -> bool:
        """Bring all places up to date; returns whether there was something new."""
        displays = batch.output.displays
        ended = batch.ended_at is not None
        seen = displays.version, ended
        if seen == self._seen or not (self._places or self.card):
            return False
        if batch.kind == "map" and not ended and time.monotonic() - self._gallery_at < _GALLERY_EVERY_S:
            return False
        self._gallery_at = time.monotonic()
        self._seen = seen
        before = list(self._versions)
        self._take(self._wanted(batch, ended=ended))
        for place in self._places:
            self._bring(place)
        return self._versions != before

    def note(self) -> dict[str, Any] | None:
        """Return the message that lets pages see whether they lack something; None where there is nothing to show."""
        return {"k": "below", "versions": self._versions} if self._versions else None

    def asked(self, places: Any) -> dict[str, Any]:
        """Return the message to a page that lacks the outputs of some places, which may be anything."""
        wanted = places if isinstance(places, list) else []
        outputs = [
            {"data": data, "metadata": metadata}
            for place, (data, metadata) in enumerate(map(self._form, range(len(self._outputs))))
            if place in wanted
        ]
        return {"k": "below", "versions": self._versions, "outputs": outputs}

    def _wanted(self, batch: Run, *, ended: bool) -> list[RichOutput]:
        displays = batch.output.displays
        if batch.kind != "map":
            value = self._value() if ended else None
            return [*displays.of(0), *([] if value is None else [value])]
        made = gallery_of(batch)
        return [] if made is None else [made]

    def _take(self, wanted: list[RichOutput]) -> None:
        # An output cannot be taken away, for a card might go with it: it is emptied.
        wanted = [*wanted, *[_NOTHING] * (len(self._outputs) - len(wanted))]
        for number, output in enumerate(wanted):
            if number >= len(self._outputs):
                self._outputs.append(output)
                self._versions.append(1)
            elif output is not self._outputs[number] and output != self._outputs[number]:
                self._outputs[number] = output
                self._versions[number] += 1

    def _bring(self, place: _Place) -> None:
        for number, version in enumerate(self._versions):
            if number >= len(place.ids):
                place.ids.append(uuid.uuid4().hex)
                place.publish(*self._form(number), place.ids[-1])
            elif version != place.versions[number]:
                self._update(*self._form(number), place.ids[number])
        place.versions = list(self._versions)

    def _form(self, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return data and metadata of an output as a notebook has it."""
        output = self._outputs[number]
        mark = {"below": self.card, "place": number, "version": self._versions[number]}
        return dict(output.data), {**output.metadata, **({"nbtasks": mark} if self.card else {})}


def gallery_of(batch: Run) -> RichOutput | None:
    """Return what the calls of a map have displayed, in one; None where they have displayed nothing."""
    displays = batch.output.displays
    shown = displays.by_call()
    if not shown:
        return None
    label = partial(which_call, batch)
    page = gallery(shown, label, displays.left_out)
    return RichOutput({"text/html": page, "text/plain": as_text(shown, label)})
