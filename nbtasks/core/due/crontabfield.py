"""One field of a crontab, as Celery takes it: a number, a text such as ``*/15`` or ``mon-fri``, or a set of numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from nbtasks.core.errors import ConfigError

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LONG_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_LONG_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
#: Characters of a short name.
_SHORT = 3
_TERM = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\w+))?")
_STARRED = re.compile(r"\*(/\d+)?")


class _NoPattern(Exception):
    """A part of a field says nothing."""

    def __init__(self, term: str) -> None:
        super().__init__(term)
        self.term = term


@dataclass(frozen=True)
class CrontabField:
    """What a field may say.

    Attributes:
        name: as the argument of ``crontab``.
        least, most: the numbers that there are.
        names: of these numbers, from the least on.
        also: more numbers, and what each of them stands for.
        special: what else one term may be, which is left to the library that computes the times.
    """

    name: str
    least: int
    most: int
    names: tuple[tuple[str, ...], ...] = ()
    also: tuple[tuple[int, int], ...] = ()
    special: str = r"(?!)"

    def written(self, given: Any) -> str:
        """Return what is given, as a crontab has it.

        Raises:
            ConfigError: it is nothing of that kind.
        """
        if callable(given):
            given = given()
        if isinstance(given, str):
            try:
                return self._of_text("".join(given.lower().split()))
            except _NoPattern as error:
                raise self._wrong(given, error.term) from None
        if isinstance(given, int) and not isinstance(given, bool):
            return str(self._number(given, given))
        if isinstance(given, Iterable) and not isinstance(given, (bytes, bytearray)):
            parts = [self._of_item(one) for one in given]
            if parts:
                return self._joined(number for part in parts for number in part)
        raise ConfigError(
            f"crontab: {self.name}={given!r:.60} is neither a number, a text such as '*/15', nor numbers in a list"
        )

    def _of_item(self, one: Any) -> Iterable[int]:
        if isinstance(one, bool) or not isinstance(one, (int, str)):
            raise ConfigError(f"crontab: {self.name} has {one!r:.60} in it, which is no number")
        if not isinstance(one, str):
            return [self._number(one, one)]
        try:
            return self._expanded(one.strip().lower())
        except _NoPattern as error:
            raise self._wrong(one, error.term) from None

    def _of_text(self, text: str) -> str:
        if _STARRED.fullmatch(text):
            # A star means something by itself on days when clocks are changed.
            self._expanded(text)
            return text
        terms = text.split(",")
        special = [term for term in terms if re.fullmatch(self.special, term)]
        plain = [term for term in terms if term not in special]
        numbers = [self._joined(n for term in plain for n in self._expanded(term))] if plain else []
        return ",".join([*numbers, *(term.upper() for term in special)])

    def _joined(self, numbers: Iterable[int]) -> str:
        return ",".join(map(str, sorted(set(numbers))))

    def _expanded(self, term: str) -> list[int]:
        """Return the numbers of a term, in the order in which a step counts them."""
        match = _TERM.fullmatch(term)
        if match is None:
            raise _NoPattern(term)
        star, first, last, step = match.groups()
        whole = list(range(self.least, self.most + 1))
        if star:
            found = whole
        elif last is None:
            if step is not None:
                raise ConfigError(
                    f"crontab: {self.name}={term!r}: a step needs a range before it, such as {first}-{self.most}/{step}"
                )
            found = [self._number(first, term)]
        else:
            start, end = self._raw(first, term), self._raw(last, term)
            # The last day of a week may be its first: from there on a range goes round.
            found = (
                [*range(start, end + 1)]
                if start <= end
                else [*range(start, self.most + 1), *range(self.least, end + 1)]
            )
            found = list(dict.fromkeys(self._plain(number) for number in found))
        if step is None:
            return found
        if not step.isdecimal() or int(step) < 1:
            raise ConfigError(f"crontab: {self.name}={term!r}: the step is no number of 1 or more")
        return found[:: int(step)]

    def _number(self, given: Any, whole: Any) -> int:
        return self._plain(self._raw(given, whole))

    def _plain(self, number: int) -> int:
        return dict(self.also).get(number, number)

    def _raw(self, given: Any, whole: Any) -> int:
        for names in self.names:
            if given in names:
                return names.index(given) + self.least
            # As Celery has it: tues, thurs, sept.
            longer = [name for name in names if isinstance(given, str) and name.startswith(given)]
            if len(longer) == 1 and len(given) > _SHORT:
                return names.index(longer[0]) + self.least
        if isinstance(given, str) and not (given.isascii() and given.isdecimal()):
            raise _NoPattern(str(given))
        # Of thousands of digits Python makes no number.
        number = int(given) if not isinstance(given, str) or len(given) < 10 else -1
        if not (self.least <= number <= self.most or number in dict(self.also)):
            most = max([self.most, *dict(self.also)])
            raise ConfigError(
                f"crontab: {self.name}={whole!r:.60}: {given!s:.20} is not from {self.least} to {most}"
            )
        return number

    def _wrong(self, given: str, term: str) -> ConfigError:
        whole = given.strip().lower()
        where = f": {term!r:.60}" if term != whole else ""
        return ConfigError(
            f"crontab: {self.name}={given!r:.60}{where} is no pattern; write numbers"
            f"{' or names' if self.names else ''}, ranges (1-5), steps (*/15) and lists (1,2,5)"
        )


MINUTE = CrontabField("minute", 0, 59)
HOUR = CrontabField("hour", 0, 23)
DAY_OF_MONTH = CrontabField("day_of_month", 1, 31, special=r"l|lw")
MONTH_OF_YEAR = CrontabField("month_of_year", 1, 12, (_MONTHS, _LONG_MONTHS))
DAY_OF_WEEK = CrontabField(
    "day_of_week", 0, 6, (_DAYS, _LONG_DAYS), ((7, 0),), special=r"[0-7]l|([0-7]|[a-z]{3})#[1-5]"
)
