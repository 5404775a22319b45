"""An App's open connection to its broker: all that needs it, wired together."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbtasks.broker.verbs.brokerline import BrokerLine
from nbtasks.client.batches.batchengine import BatchEngine
from nbtasks.client.unsent import describe
from nbtasks.core import context
from nbtasks.core.errors import (
    BrokerUnavailable,
    ConfigError,
    NbtasksError,
)
from nbtasks.core.madeonce import made_once
from nbtasks.core.unsendable import refuse_to_travel
from nbtasks.local.connection import Connection

from .ahead import Precedence
from .lockreasons import LockReasons
from .orderbook import OrderBook
from .reasons import Reasons
from .receiving.adoption import Adoption
from .receiving.expiry import Expiry
from .receiving.gaps import Gaps
from .receiving.garbage import Garbage
from .receiving.intake import Intake
from .receiving.listener import Listener
from .receiving.reconciling import Reconciling
from .receiving.stocktaking import Stocktaking
from .receiving.survey import Survey
from .revoking import Revoking
from .sealing import Sealing
from .sending.endings import Endings
from .sending.outbox import Outbox
from .sending.repacking import Repacking
from .sending.sender import Sender
from .sending.writing import Writing
from .sessionground import SessionGround
from .withdrawing import Withdrawing

if TYPE_CHECKING:
    from .lookout import Lookout

#: Seconds in which a broker that is to be left must have taken something of what waits.
_HAND_OVER_S = 2.0


class Session(SessionGround):
    """An App's open connection: makes the parts that need the broker, and ends them together.

    Attributes:
        engine: of the ledgers of its batches.
        sealing: makes signed chunks.
        sender: submits batches.
        intake: takes in what comes back.
        adoption: finds batches that others have submitted.
        revoking: revokes calls.
        reasons: say why calls wait.
        expiry: ends calls that no worker has started in time.
    """

    __stays_here__ = "it holds the key. In a task, nbtasks.App.current().session is the one that it runs for"
    __reduce_ex__ = refuse_to_travel

    def __init__(
        self,
        connection: Connection,
        result_expires_s: float,
        engine: BatchEngine,
        include: Sequence[str] = (),
    ) -> None:
        super().__init__(connection, include)
        self.engine = engine
        self._pid = os.getpid()
        self._closed = False
        #: What is to be said of calls that were accepted and could not be handed over before the end.
        self.unsent = ""
        self._outbox = Outbox(self.new_line().submission())
        endings = Endings(self.codec, self.line, self.clock)
        writing = Writing(self.codec, self.roster, round(result_expires_s * 1000), self.clock)
        self.sender = Sender(self._outbox, self.registry, writing, endings)
        self._make_receiving(self.line, endings)
        if context.serving:
            context.before_telling.append(self._flush_for_task)

    def _make_receiving(self, line: BrokerLine, endings: Endings) -> None:
        registry, sender, roster = self.registry, self.sender, self.roster
        orders, reading, news = line.submission(), self.new_line(), line.session_news()
        repacking = Repacking(self.codec, self.shelf, roster, self.home)
        self.intake = intake = Intake(
            registry,
            sender,
            repacking,
            self.store,
            self.codec,
            endings,
            Garbage(self.files, self.blobs),
            self.clock,
        )
        withdrawing = Withdrawing(line, roster, self.clock, registry)
        self.expiry = Expiry(self.clock, roster, endings, withdrawing)
        self.sealing = Sealing(self.codec, roster, registry.paces, self.clock, self.expiry)
        book = OrderBook(self.codec, self.clock, self._outbox)
        self.revoking = Revoking(orders, book, self._outbox, roster, registry, intake, endings, withdrawing)
        survey = Survey(self.store, self.codec, self.clock)
        self.reasons = Reasons(
            line,
            self.queues,
            line.permits(),
            roster,
            registry,
            self._outbox,
            Precedence(survey, registry),
            LockReasons(line.locks(), roster),
        )
        self.adoption = Adoption(
            registry,
            intake,
            self.store,
            news,
            roster,
            self.codec,
            self._outbox,
            self.engine,
            self.clock,
            survey,
        )
        self._stocktaking = Stocktaking(
            line.stock(), roster, registry, sender, intake, self.adoption, endings, self.clock
        )
        gaps = Gaps(orders, self._outbox, registry, self._stocktaking, reading)
        self._outbox.mender = gaps
        reconciling = Reconciling(
            gaps, self.clock, registry, self.store, self.adoption, intake, sender, roster
        )
        events = reading.session_news()
        self._listener = Listener(reading, events, news, self._outbox, intake, reconciling, registry)
        self._news = news

    def read_here(self, most_s: float, eager: bool) -> bool:
        """Read what comes, on the thread that waits, as :meth:`Listener.read_here` says; whether that could be done."""
        self._outbox.note_wait()
        return self._listener.read_here(most_s, eager)

    @made_once
    def lookout(self) -> Lookout:
        """What looks at queues, locks and the server, on a connection of its own."""
        from .lookout import Lookout

        return Lookout(self.new_line(), self.codec, self.roster)

    @property
    def usable(self) -> bool:
        """Whether this session belongs to this process and is open."""
        return not self._closed and self._pid == os.getpid()

    def check_open(self, name: str) -> None:
        """Refuse to wait where nothing comes any more.

        Args:
            name: the id of what is waited for.

        Raises:
            ConfigError: the App was closed, or belongs to another process.
        """
        if self._closed:
            raise ConfigError(
                f"the App that {name} was submitted through is closed, so its end is not told here any more: wait "
                f"before you close it, or ask with App(...).attach({name!r})"
            )
        if not self.usable:
            raise ConfigError(
                f"{name} was submitted by another process, and its end is told there: ask here with "
                f"App(...).attach({name!r})"
            )

    def disown(self) -> None:
        """Let go of everything in a process that was forked off: it is the parent's, and goes on there."""
        self._disown_lines()
        for batch in self.registry.disowned():
            try:
                self.check_open(batch.id)
            except ConfigError as error:
                # Nobody tells its end here: who asks again and again shall hear that.
                batch.note_problem(error)

    def close(self) -> None:
        """Send what waits, stop the threads, close the connections."""
        if self._closed:
            return
        handed_over = self._outbox.hand_over(_HAND_OVER_S)
        # While the connections are there: callbacks may want to read large results.
        self.registry.close()
        self._closed = True
        if handed_over:
            with contextlib.suppress(NbtasksError):
                self._news.end_session(self._outbox.session)
        self._outbox.close()
        self.expiry.close()
        self._stocktaking.close()
        self._listener.close()
        self._abort_lines()
        self._give_up_what_is_left()
        with contextlib.suppress(ValueError):
            context.before_telling.remove(self._flush_for_task)

    def _give_up_what_is_left(self) -> None:
        waiting = self.registry.all_unfinished()
        where = self.connection.address
        error = BrokerUnavailable(
            f"the App was closed before this could be handed over to the broker at {where}"
        )
        why = self._outbox.trouble
        self._outbox.give_up(error)
        left = [batch for batch in waiting if batch.problem is error]
        if left:
            self.unsent = describe(left, where, why)

    def flush(self) -> None:
        """Wait until the broker has everything."""
        self._outbox.flush()

    def _flush_for_task(self) -> None:
        if self.usable:
            self._outbox.flush()
