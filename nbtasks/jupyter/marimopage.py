"""What marimo shows, which has widgets and no IPython: live cards, lists and dashboards, as widgets of marimo's."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from nbtasks.client.dashboardhandle import Dashboard
from nbtasks.client.runs.runlist import RunList

from .card.writer import Writer
from .panel.livedashboard import widget_of
from .runs.onecard import OneCard
from .runs.onelist import LiveList

if TYPE_CHECKING:
    from nbtasks.client.group import GroupResult
    from nbtasks.client.result import AsyncResult

    Handle = AsyncResult | GroupResult


@functools.cache
def _writer() -> Writer:
    return Writer()


def page_of(what: Handle | RunList | Dashboard) -> Any:
    """Return what marimo shows in the place of a handle, a list of them or a dashboard; its repr without marimo."""
    try:
        import marimo
    except ImportError:
        return repr(what)
    if isinstance(what, Dashboard):
        return marimo.ui.anywidget(widget_of(what))
    runs = what if isinstance(what, RunList) else RunList([what])
    live: LiveList | OneCard
    if len(runs) == 1:
        live = OneCard(runs.runs[0], _writer())
    else:
        # It has no outputs to replace.
        live = LiveList(SimpleNamespace(display_pub=None), runs.runs, _writer())
    _writer().follow(live)
    return marimo.ui.anywidget(live.widget)
