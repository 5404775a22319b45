"""TAB on the line of a magic of ours: options, their values, queues, subcommands."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from nbtasks.core.workeroptions import POOLS

from . import tasksline, workersline
from .flags import option_choices, option_names, takes_queue

#: Words of the two management magics.
_SUBCOMMANDS = {"%tasks": tasksline.SUBCOMMANDS, "%workers": workersline.SUBCOMMANDS}


#: What `%tasks cancel` and the like take in place of an id.
_ALL = {"cancel": ("all",), "retry": ("failed",)}


def complete_line(
    line: str, queues: Callable[[], Iterable[str]], runs: Callable[[], Iterable[str]] = tuple
) -> list[str] | None:
    """Return what the last word of ``line`` may become; None when this is not a matter of ours.

    Args:
        line: the text of the line before the cursor.
        queues: returns the queues that are known.
        runs: returns the ids of the runs of this session, as cards show them.
    """
    magic, *given = line.split() or [""]
    word = "" if line[-1:].isspace() else (given[-1] if given else "")
    before = given if line[-1:].isspace() else given[:-1]
    if not line.startswith("%") or (not given and not line[-1:].isspace()):
        return None
    if magic in _SUBCOMMANDS:
        return _managed(magic, before, word, queues, runs)
    if magic not in {"%task", "%%task"} or "for" in before:
        return None
    if word.startswith("-"):
        return _matching((name for name, _ in option_names()), word)
    if before and before[-1].startswith("-"):
        return _matching(_values(before[-1], queues), word) or None
    return _matching((name for name, _ in option_names()), word) if magic == "%%task" and not word else None


def _managed(
    magic: str,
    before: list[str],
    word: str,
    queues: Callable[[], Iterable[str]],
    runs: Callable[[], Iterable[str]],
) -> list[str]:
    """Complete the line of a management magic; the rest of Python never belongs there."""
    if not before:
        return _matching([*_SUBCOMMANDS[magic], *(runs() if magic == "%tasks" and word else ())], word)
    command, last = before[0], before[-1]
    if magic == "%tasks":
        if word.startswith("-"):
            return _matching(["--last"] if command == "attach" else [], word)
        alone = _ALL.get(command, ())
        return _matching([*runs(), *alone], word) if command in _SUBCOMMANDS[magic] else []
    if word.startswith("-"):
        return _matching(workersline.long_options(command), word)
    if command == "start" and last in {"-q", "-Q", "--queues"}:
        return _matching(sorted(queues()), word)
    return _matching(POOLS, word) if command == "start" and last in {"-P", "--pool"} else []


def _values(option: str, queues: Callable[[], Iterable[str]]) -> Iterable[str]:
    return sorted(queues()) if takes_queue(option) else option_choices(option)


def _matching(words: Iterable[str], start: str) -> list[str]:
    return [word for word in words if word.startswith(start)]


def make_matcher(queues: Callable[[], Iterable[str]], runs: Callable[[], Iterable[str]]) -> Any:
    """Return a matcher for IPython's completer; where it has something to say it keeps the others out."""
    from IPython.core.completer import SimpleCompletion, context_matcher

    @context_matcher(identifier="nbtasks")  # type: ignore[untyped-decorator]
    def nbtasks_matcher(context: Any) -> dict[str, Any]:
        found = complete_line(context.text_until_cursor.lstrip(), queues, runs)
        if found is None:
            return {"completions": [], "suppress": False}
        completions = [SimpleCompletion(text, type="option") for text in found]
        return {"completions": completions, "suppress": True}

    return nbtasks_matcher
