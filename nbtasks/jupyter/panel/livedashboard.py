"""The dashboard in a cell: pages are made while somebody looks at them, and sent as they change.

Several browsers may show one notebook, each another page of it. So each view has a name, under which it says again and
again what it looks at; when it has not said so for a while, nothing is asked of the server for it any more.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbtasks.core.errors import NbtasksError
from nbtasks.dashboard import assets
from nbtasks.jupyter.card.writer import Writer
from nbtasks.jupyter.frontend import has_kernel, is_captured, is_watched
from nbtasks.jupyter.liveoutput import as_of, live_widget_class
from nbtasks.jupyter.widgetline import BEAT_EVERY_S
from nbtasks.monitor.monitor import Monitor

from .dashboardsaved import still
from .paneloutput import PanelOutput, SavedForm

if TYPE_CHECKING:
    from nbtasks.client.dashboardhandle import Dashboard

_log = logging.getLogger("nbtasks")
#: Seconds for which one word of a view counts, and between two looks for it.
LEASE_S = 30.0
LOOK_EVERY_S = 1.0
#: Views of one dashboard, and dashboards of one kernel, that live; characters of a name.
_MOST_VIEWS, _MOST_LIVE, _LONGEST_NAME = 16, 10, 64
_live: deque[LiveDashboard] = deque()


def show(dashboard: Dashboard) -> None:
    """Show it in the cell that runs now: live where somebody looks, else as it is now."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None or not has_kernel(shell):
        # A terminal, where it cannot live.
        print(repr(dashboard))  # noqa: T201
        return
    monitor = Monitor(dashboard.app, dashboard.readonly)
    try:
        live = (
            None
            if is_captured(shell) or not is_watched(shell)
            else LiveDashboard(shell.display_pub, monitor, _writer())
        )
    except ImportError:
        live = None
    if live is None:
        shell.display_pub.publish(still(monitor.page("overview"), f"{as_of()}."))
        monitor.close()
        return
    live.show()
    _let_live(live)


def widget_of(dashboard: Dashboard) -> Any:
    """Return it as a widget by itself, for pages that keep their outputs themselves."""
    # There are no outputs to replace.
    live = LiveDashboard(None, Monitor(dashboard.app, dashboard.readonly), _writer())
    _let_live(live)
    return live.widget


def _let_live(live: LiveDashboard) -> None:
    _live.append(live)
    while len(_live) > _MOST_LIVE:
        _writer().note(_live.popleft().close)


@dataclass
class _View:
    """What one view looks at: the page, and beside it a call."""

    page: str | None = None
    filters: dict[str, Any] = field(default_factory=dict)
    call: str | None = None
    until: float = 0.0
    looked_at: float = 0.0
    said_at: float = 0.0
    #: What was sent of each, without the time that it was made.
    sent: dict[str, Any] = field(default_factory=dict)

    def wanted(self) -> list[tuple[str, dict[str, Any]]]:
        found = [(self.page, self.filters)] if self.page is not None else []
        return [*found, ("call", {"id": self.call})] if self.call is not None else found


class LiveDashboard:
    """One dashboard in one output. Only the writer's thread sends."""

    def __init__(self, publisher: Any, monitor: Monitor, writer: Writer) -> None:
        self._monitor = monitor
        self._writer = writer
        self._views: dict[str, _View] = {}
        self._overview = monitor.page("overview")
        self._followed = False
        hello = monitor.hello()
        first = {"title": hello["namespace"], "about": hello["address"], "readonly": monitor.readonly}
        self.widget = _widget_class()(
            lambda: {**first, "first": {"page": "overview", "data": self._overview}}, self._receive
        )
        self._output = PanelOutput(publisher, self.widget, self._still)
        self._tell = self._output.tell

    def show(self) -> None:
        """Show it in the cell that runs now."""
        self._output.show()
        self._follow()

    def close(self) -> None:
        """Let the saved form take its place."""
        self._views.clear()
        self._output.retire()
        self._monitor.close()

    def tick(self, now: float) -> bool:
        """Called by the writer; returns whether it goes on."""
        self._views = {name: view for name, view in self._views.items() if view.until > now}
        for name, view in list(self._views.items()):
            if view.page is not None and now - view.looked_at >= LOOK_EVERY_S:
                self._look(name, view, now)
        self._followed = bool(self._views) or self._output.waits_for_page(now)
        return self._followed

    def _follow(self) -> None:
        if not self._followed:
            self._followed = True
            self._writer.follow(self)

    def _still(self, hint: str) -> SavedForm:
        return still(self._overview, f"{as_of()}. {hint}".rstrip())

    def _look(self, name: str, view: _View, now: float) -> None:
        view.looked_at = now
        for page, filters in view.wanted():
            try:
                data = self._monitor.page(page, filters)
            except NbtasksError as problem:
                data = {"now": now, "problem": str(problem)}
            content = {key: value for key, value in data.items() if key != "now"}
            if page == "overview" and not data.get("problem"):
                self._overview = data
            if view.sent.get(page) != content:
                view.sent[page], view.said_at = content, now
                self._tell({"k": "page", "viewer": name, "page": page, "data": data})
        if now - view.said_at >= BEAT_EVERY_S:
            view.said_at = now
            self._tell({"k": "beat", "viewer": name})
        if self._output.wants_keeping(now):
            self._output.keep()

    # -- what the page says; on whichever thread Jupyter runs this

    def _receive(self, content: dict[str, Any]) -> None:
        kind, viewer = content.get("t"), content.get("viewer")
        if kind == "hello":
            self._writer.note(self._output.greet)
        if not isinstance(viewer, str) or len(viewer) > _LONGEST_NAME:
            return
        if kind == "ask":
            self._writer.note(lambda: self._on_ask(viewer, content))
        elif (
            kind == "do" and isinstance(content.get("action"), str) and isinstance(content.get("body"), dict)
        ):
            # It may take seconds, and pages are not to wait for it.
            threading.Thread(
                target=self._do, args=(viewer, content), name="nbtasks-dashboard", daemon=True
            ).start()

    def _on_ask(self, viewer: str, content: dict[str, Any]) -> None:
        page, filters, call = content.get("page"), content.get("filters"), content.get("call")
        if page is None and viewer in self._views:
            del self._views[viewer]
            self._output.keep()
        if not isinstance(page, str) or len(self._views) >= _MOST_VIEWS:
            return
        asked = (page, filters if isinstance(filters, dict) else {}, call if isinstance(call, str) else None)
        view = self._views.setdefault(viewer, _View())
        if (view.page, view.filters, view.call) != asked:
            view.page, view.filters, view.call = asked
            view.sent, view.looked_at = {}, 0.0
        view.until = time.time() + LEASE_S
        self._follow()

    def _do(self, viewer: str, content: dict[str, Any]) -> None:
        try:
            answer = self._monitor.act(content["action"], content["body"])
        except NbtasksError as problem:
            answer = {"ok": False, "said": str(problem)}
        except Exception as problem:  # noqa: BLE001 - it is said where it was asked for
            _log.debug("an action of the dashboard failed", exc_info=True)
            answer = {"ok": False, "said": f"{type(problem).__name__}: {problem}"}
        self._writer.note(lambda: self._answer(viewer, content.get("number"), answer))

    def _answer(self, viewer: str, number: Any, answer: dict[str, Any]) -> None:
        if viewer in self._views:
            self._views[viewer].looked_at = 0.0
        self._tell({"k": "answer", "viewer": viewer, "number": number, "answer": answer})


@functools.cache
def _writer() -> Writer:
    """Return a writer of its own: cards are not to wait while pages are made."""
    return Writer()


@functools.cache
def _widget_class() -> type[Any]:
    import traitlets

    class DashboardWidget(live_widget_class()):  # type: ignore[misc]  # the class is made at run time
        script = assets.script()
        style = assets.style()
        #: The namespace, and its server's address.
        title = traitlets.Unicode().tag(sync=True)
        about = traitlets.Unicode().tag(sync=True)
        readonly = traitlets.Bool().tag(sync=True)
        #: A page that is there before the first one was asked for.
        first = traitlets.Dict().tag(sync=True)

    return DashboardWidget
