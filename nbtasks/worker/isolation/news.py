"""What is told of what a call gives out: while it runs what is new, and at its end all that is kept."""

from __future__ import annotations

from nbtasks.core.calloutput import CallOutput
from nbtasks.core.context import CurrentCall, ids_of_children
from nbtasks.core.events import Advanced, CallEvent, Displayed, Progressed, Wrote
from nbtasks.core.outputs import RichOutput

from .output import Output


def news_of(call: CurrentCall, *, progressed: bool) -> list[CallEvent]:
    """Return what is new since the last look.

    Args:
        progressed: the call reports its progress by itself, so that no bar is taken for it.
    """
    events: list[CallEvent] = []
    # A task can reach its own record, and put anything there.
    if type(call.output) is not Output:
        return events
    output: Output = call.output
    if (written := output.take_live()) is not None:
        events.append(Wrote(call.index, *written))
    if output.displays is not None and (shown := output.displays.take_news()) is not None:
        events.append(Displayed(call.index, *shown))
    if output.bars is not None and (bars := output.bars.take_news()) is not None:
        events.append(Advanced(call.index, bars))
        outer = next((bar for bar in bars if not bar.closed), None)
        if outer is not None and not progressed:
            events.append(Progressed(call.index, outer.done, outer.total, outer.description))
    return events


def given_out(call: CurrentCall, preview: RichOutput | None) -> CallOutput | None:
    """Return all that is kept of what a call has given out, which has ended; None for nothing."""
    output: Output | None = call.output if type(call.output) is Output else None
    # A task can reach its own record, and put anything there.
    children = ids_of_children[0](call) if ids_of_children and type(call.children) is list else []
    if children:
        # Threads that have begun in the call know it for as long as they live, and need not hold the Apps of these.
        call.children = []
    if output is None:
        return CallOutput(preview=preview, children=children) if preview is not None or children else None
    return CallOutput(
        output.kept(),
        output.printed,
        output.displays.kept() if output.displays is not None else [],
        output.bars.left() if output.bars is not None else [],
        preview,
        children,
    )


def last_news(index: int, given: CallOutput | None) -> list[CallEvent]:
    """Return what is told of what a try has given out that is over and is followed by another."""
    if given is None or not given.parts or given.printed is None:
        return []
    return [Wrote(index, given.parts, given.printed, over=True)]
