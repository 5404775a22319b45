"""How fast the calls of a run have ended, as a small line beside the rate. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from . import words

#: Points of the line. When they are more, each two become one, so that the line always has the whole run.
MOST_POINTS = 60
#: Seconds of a point at first, and of a run that is worth a line.
_FIRST_EVERY_S = 0.5
_WORTH_S = 5.0
#: Calls of such a run, and how often somebody has looked: what lies between is only guessed.
_WORTH_CALLS = 20
_WORTH_LOOKS = 8
#: Of the highest point; the picture is higher by a margin above and below.
_HEIGHT = 14
_COLOUR = "rgb(128,134,142)"


@dataclass(frozen=True)
class Spark:
    """The line: the height of each point, from 0 to 14, and the same in words."""

    heights: tuple[int, ...]
    label: str


class PaceLine:
    """Counts how many calls end in each stretch of time; holds a point for each, 60 at most."""

    def __init__(self) -> None:
        self._begin(0.0, 0)

    def _begin(self, now: float, ended: int) -> None:
        self._points: list[float] = []
        self._every = _FIRST_EVERY_S
        self._looks = 0
        #: At the last look: when it was, and how many calls had ended.
        self._at, self._seen = now, ended
        #: Up to when there are points, and how many calls had ended by then.
        self._until, self._ended = now, float(ended)

    def note(self, now: float, ended: int) -> None:
        """Take in that ``ended`` calls have ended by ``now``, in epoch seconds."""
        if not self._seen or ended < self._seen or now <= self._at:
            self._begin(now, ended)
            return
        a_second = (ended - self._seen) / (now - self._at)
        self._at, self._seen = now, ended
        while len(self._points) + (now - self._until) / self._every > MOST_POINTS:
            self._halve()
        steps = int((now - self._until) / self._every)
        if steps:
            self._until += steps * self._every
            # Looks do not come when a point is full: else one point would have more of them than the next.
            by_then = ended - a_second * (now - self._until)
            self._points += [(by_then - self._ended) / steps] * steps
            self._ended = by_then
            self._looks += 1

    def _halve(self) -> None:
        if len(self._points) % 2:
            self._ended -= self._points.pop()
            self._until -= self._every
        self._points = [sum(self._points[at : at + 2]) for at in range(0, len(self._points), 2)]
        self._every *= 2

    def spark(self) -> Spark | None:
        """Return the line; None for what is too short to have one."""
        points, lasts = self._points, len(self._points) * self._every
        if lasts < _WORTH_S or self._looks < _WORTH_LOOKS or self._seen < _WORTH_CALLS:
            return None
        most = max(points)
        if most <= 0:
            return None
        heights = tuple(round(_HEIGHT * max(0.0, point) / most) for point in points)
        slowest, fastest = (words.rate(max(0.0, pick(points)) / self._every) for pick in (min, max))
        return Spark(heights, f"rate over {words.duration(lasts)}: {slowest} to {fastest}")


def svg(spark: Spark) -> str:
    """Return the line as a picture, the same that the page draws (page/sparkline.js)."""
    points = "L".join(f"{2 * at} {_HEIGHT + 1 - height}" for at, height in enumerate(spark.heights))
    width = 2 * (len(spark.heights) - 1)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT + 2}" preserveAspectRatio="none">'
        f'<path d="M{points}" fill="none" stroke="{_COLOUR}" stroke-width="1.25" vector-effect="non-scaling-stroke"/>'
        "</svg>"
    )
