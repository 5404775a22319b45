"""A task as its own calls see it where they run: the call that runs, and hooks around each."""

from __future__ import annotations

from typing import Any

from nbtasks.core.boundtask import BoundTask
from nbtasks.core.context import CurrentCall, current_call
from nbtasks.core.errors import Retry

from .definition import Definition


class TaskHooks(Definition):
    """What ``self`` has in a call, and what a class of the user's may have of its own."""

    @property
    def request(self) -> CurrentCall:
        """The call of this task that runs here; outside of one a request of nothing."""
        call = current_call()
        return call if call is not None and call.name == self.name else CurrentCall("", name=self.name)

    def retry(self, *args: Any, **kwargs: Any) -> Retry:
        """End the attempt that runs here and run its call again, as :meth:`BoundTask.retry` does."""
        return self._bound().retry(*args, **kwargs)

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Give the call that runs here a state of its own, as :meth:`BoundTask.update_state` does."""
        self._bound().update_state(*args, **kwargs)

    def replace(self, signature: Any) -> Any:
        """Have others take the place of the call that runs here, as :meth:`BoundTask.replace` does."""
        return self._bound().replace(signature)

    def add_to_chord(self, signature: Any, lazy: bool = False) -> Any:
        """Refuse, with what to do instead."""
        return self._bound().add_to_chord(signature, lazy)

    def _bound(self) -> BoundTask:
        return BoundTask(self.request, self.options, self.function)

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> Any:
        """Run before each attempt; what it raises is the attempt's error. A hook: a class of yours may have its own."""

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> Any:
        """Run when a call has returned. A hook, as the others below: it cannot change how the call has ended."""

    def on_failure(self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: Any) -> Any:
        """Run when a call has failed."""

    def on_retry(self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: Any) -> Any:
        """Run when an attempt has failed and there will be another."""

    def after_return(self, status: str, retval: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> Any:
        """Run when a call has ended: after those for its end."""
