"""What has failed in a workflow reaches what comes after it, also where no worker is that could run that.

And what was sent of a workflow whose client has died before it had sent the rest ends: nobody would ever release it.
"""

from __future__ import annotations

import itertools

from nbtasks.broker.verbs.brokerline import BrokerLine
from nbtasks.broker.verbs.finish import Finish
from nbtasks.core.errors import OperationalError, SignatureMismatch
from nbtasks.wire.codec import Codec
from nbtasks.wire.frames import key_of
from nbtasks.wire.noting import Noting
from nbtasks.wire.workflows.passingon import fallout, left_in_part
from nbtasks.worker.log import log_once, log_trouble

from .duty import Duty

#: Seconds between two looks: a hint may have been lost, or who has taken a workflow.
_LOOK_S = 5.0
_AFTER_TROUBLE_S = 1.0
#: Workflows that are taken at once, and the time after which others take them too (ms).
_MOST_TAKEN = 10
_TAKEN_MS = 10_000
#: Seconds without a word of the client that has sent a part of a workflow, after which it has left.
_LEFT_S = 300.0
#: Records of one report.
_MOST_IN_REPORT = 200


class Fallout:
    """A thread that sees to workflows in which something has failed.

    Args:
        line: to the broker.
        noting: signs notes of the worker.

    Attributes:
        duty: begins and ends it; sooner where something has failed just now.
    """

    def __init__(self, line: BrokerLine, codec: Codec, noting: Noting) -> None:
        self._codec = codec
        self._noting = noting
        self._workflows = line.workflows()
        self._store = line.store()
        self._seen_to: list[tuple[str, bytes]] = []
        self.duty = Duty("fallout", self._act)

    def _act(self) -> float:
        try:
            seen_to, self._seen_to = self._seen_to, []
            taken = self._workflows.take_fallout(_MOST_TAKEN, _TAKEN_MS, seen_to)
            for workflow, mark, silent_s in taken:
                self._pass_on(workflow, silent_s > _LEFT_S)
                # The rest of what comes in parts may still come: it is looked at again.
                if not 0 < silent_s <= _LEFT_S:
                    self._seen_to.append((workflow, mark))
        except OperationalError as error:
            log_trouble("what has failed in a workflow is passed on later", error)
            return _AFTER_TROUBLE_S
        return 0.0 if taken else _LOOK_S

    def _pass_on(self, workflow: str, left: bool) -> None:
        """Tell the ends of what cannot run any more.

        Args:
            left: its client has died before all of it was sent.
        """
        frame = self._store.plan(workflow)
        if frame is None:
            return
        try:
            record = self._codec.open_plan(frame, workflow)
        except SignatureMismatch as error:
            log_once(f"workflow {workflow}: its plan was refused: {error}")
            return
        kid, report, n = key_of(frame), Finish(), 0
        ended = fallout(record, self._codec, self._workflows)
        if left:
            ended = itertools.chain(ended, left_in_part(record, self._codec, self._workflows))
        for one in ended:
            report.results(one.batch, one.first, one.states, self._codec.seal_record(one, kid))
            report.happened(self._noting.end(one, kid), if_new=True)
            n += 1
            if n >= _MOST_IN_REPORT:
                self._store.finish(report)
                report, n = Finish(), 0
        if report:
            self._store.finish(report)
