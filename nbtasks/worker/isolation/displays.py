"""What one call has displayed, bounded in number and in size."""

from __future__ import annotations

from threading import Lock

from nbtasks.core.outputs import MOST_OF_CALL, MOST_OF_ONE, MOST_OUTPUTS, RichOutput, size_of

#: A form of a size up to this is never left out.
_SMALL = 8_000
#: Texts as a last form are cut to this.
_MOST_TEXT = 16_000


class Displays:
    """The outputs of one call in their order, and which of them were not told yet."""

    def __init__(self) -> None:
        self._outputs: list[RichOutput] = []
        self._size = 0
        self._left_out = 0
        self._untold: set[int] = set()
        self._told_count = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._outputs)

    def add(self, output: RichOutput) -> None:
        """Add an output behind the others."""
        with self._lock:
            self._put(len(self._outputs), output)

    def update(self, output: RichOutput) -> bool:
        """Put an output in the place of those of the same name; returns whether there are any."""
        with self._lock:
            places = [place for place, one in enumerate(self._outputs) if one.display_id == output.display_id]
            for place in places:
                self._put(place, output)
            return bool(places)

    def clear(self) -> None:
        """Remove all."""
        with self._lock:
            self._outputs, self._size, self._left_out = [], 0, 0
            self._untold.clear()

    def take_news(self) -> tuple[list[tuple[int, RichOutput]], int] | None:
        """Return (place, output) of what is new since the last look, and how many there are; None for nothing new."""
        with self._lock:
            if not self._untold and self._told_count == len(self._outputs):
                return None
            news = [(place, self._outputs[place]) for place in sorted(self._untold)]
            self._untold.clear()
            self._told_count = len(self._outputs)
            return news, self._told_count

    def kept(self) -> list[RichOutput]:
        """Return all."""
        with self._lock:
            return self._outputs.copy()

    def _put(self, place: int, output: RichOutput) -> None:
        if place >= MOST_OUTPUTS:
            self._left_out += 1
            place = MOST_OUTPUTS
            output = _note(
                f"... {self._left_out:,} more outputs were left out: a call keeps {MOST_OUTPUTS} ..."
            )
        before = self._outputs[place].size if place < len(self._outputs) else 0
        output = bounded(output, min(MOST_OF_ONE, MOST_OF_CALL - self._size + before))
        self._outputs[place : place + 1] = [output]
        self._size += output.size - before
        self._untold.add(place)


def bounded(output: RichOutput, most: int, most_text: int = _MOST_TEXT) -> RichOutput:
    """Return an output without its largest forms where it is too large, and say so in its text.

    Args:
        most: characters.
        most_text: characters of its text.
    """
    data = dict(output.data)
    text = data.get("text/plain", "")
    if output.size <= most and len(text) <= most_text:
        return output
    text = text if len(text) <= most_text else text[:most_text] + "..."
    gone = []
    for kind in sorted(data, key=lambda kind: -size_of(data[kind])):
        if size_of(data[kind]) <= _SMALL or sum(map(size_of, data.values())) <= most:
            break
        if kind != "text/plain":
            gone.append(f"{kind} of {size_of(data.pop(kind)) / 1e6:.1f} MB")
    if gone:
        why = f"[left out of the output, which is too large: {', '.join(gone)}; return it, or write it to a file]"
        text = "\n".join(filter(None, (text, why)))
    return RichOutput({**data, "text/plain": text}, output.metadata, output.display_id)


def _note(text: str) -> RichOutput:
    return RichOutput({"text/plain": text})
