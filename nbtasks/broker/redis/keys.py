"""Every key that nbtasks uses, with its Redis type.

All keys of a namespace share one hash tag, so that they live in one Cluster slot and one script may touch them.
The scripts get the root and append the same suffixes; a change here is a change there. Those that only scripts use:

    fu             HASH: function digest -> number of unfinished batches that need it
    wo:<workflow>  HASH: its batches as names that have not ended, and those before it
    rel            HASH: large batches as names, whose parked chunks are queued step by step
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass

GROUP = "w"


def readable(names: Iterable[bytes]) -> list[str]:
    """Return names as text. One that is no text is none of ours, and is left out."""
    found = []
    for name in names:
        with contextlib.suppress(UnicodeDecodeError):
            found.append(name.decode())
    return found


@dataclass(frozen=True)
class Keys:
    """The keys of one namespace."""

    namespace: str

    @property
    def root(self) -> str:
        """Prefix of every key."""
        return f"nb:{{{self.namespace}:0}}:"

    def lane(self, address: str, lane: str) -> str:
        """STREAM with group ``w``: b (batch), i (first), n (count), a (attempt), x (look at states), d (frame).

        Where a carrier tells what is queued, there is a group ``c``, too, which holds nothing.
        """
        return f"{self.root}q:{address}:{lane}"

    def delayed(self, address: str) -> str:
        """ZSET: calls that are due later; score is the server's time as it is reckoned, in ms.

        The member is a header line and a frame; the line is lane, batch, first, count and attempt; and the limit, if
        the calls wait for that, or "@" and the lock. Those have a score that no time reaches.
        """
        return f"{self.root}z:{address}"

    def limit(self, limit: str) -> str:
        """STRING with PX: server times in us, of the next start, and at which calls that wait for one come next."""
        return f"{self.root}rl:{limit}"

    def cuts(self, address: str) -> str:
        """HASH: ``<lane>/<entry>`` -> ``first count``, for entries whose other calls were given to others."""
        return f"{self.root}c:{address}"

    def doubts(self, address: str) -> str:
        """HASH: life (of the server, in which workers came last), lane -> last entry that may have begun unheld.

        A server that was restored, or whose groups were removed, gives out again what was taken before.
        """
        return f"{self.root}d:{address}"

    @property
    def addresses(self) -> str:
        """SET: every address that has had a call or a worker."""
        return f"{self.root}addresses"

    def batch(self, batch: str) -> str:
        """HASH: s (sessions), n (calls), d (ended), e (end), f (function), q (address), m (label), t (ttl), x, g.

        g has a character for each call of those that share it: 1 where nobody wants its result any more.
        x says that states are to be looked at. And ``v<index>``: the order, signed, to revoke a call that ran then;
        index -1 is all of them. Of a workflow: wf (its id, "!" where something that waits for it runs only after a
        failure, batches that wait for it, batches whose calls wait for its calls one by one, with the calls in their
        chunks; between them "|"), rl (nothing of it is parked any more). And af: which batches that were submitted
        later wait for which of its calls, and their workflows.
        """
        return f"{self.root}b:{batch}"

    def parked(self, batch: str) -> str:
        """HASH: first call -> a chunk that waits for other batches: lane, address, ms to wait then, calls; frame."""
        return f"{self.root}p:{batch}"

    def awaited(self, batch: str) -> str:
        """HASH: what a parked batch waits for and has not ended: batches, and calls as ``<batch>:<first>+<count>``."""
        return f"{self.root}g:{batch}"

    def workflow(self, workflow: str) -> str:
        """SET: the batches of a workflow, and those before it whose values it needs."""
        return f"{self.root}wf:{workflow}"

    def plan(self, workflow: str) -> str:
        """STRING: signed graph of a workflow."""
        return f"{self.root}wp:{workflow}"

    @property
    def incoming(self) -> str:
        """HASH: workflow of which only a part has come yet -> its client's session."""
        return f"{self.root}wi"

    @property
    def fallout(self) -> str:
        """ZSET: workflow in which something has failed -> 0, or until when (ms) somebody passes that on."""
        return f"{self.root}wx"

    def periodic(self, key_id: str, task: str) -> str:
        """HASH: a periodic task. d (signed frame), v (its hash), f (function), tt (timetable), k (client), t (ttl).

        And what has become of it: n (runs), l (the last one's batch), h (the last ones), sk (passed over while a run
        went on), ms (missed), cu (until when due times were made up for), p (paused since), gone (its client is, since
        then). A batch that it has made has fd when its calls are queued.
        """
        return f"{self.root}se:{key_id}:{task}"

    def due(self, key_id: str) -> str:
        """ZSET: periodic task whose frame is signed with this key -> when it is due next, in ms of the server's clock.

        ``inf`` of one that pauses.
        """
        return f"{self.root}sd:{key_id}"

    def live_client(self, client: str) -> str:
        """STRING with PX: a client is there with which periodic tasks end."""
        return f"{self.root}sl:{client}"

    def said_there(self, client: str) -> str:
        """STRING with PX: when a client has last said that it is there, in ms of the server's clock."""
        return f"{self.root}ss:{client}"

    def states(self, batch: str) -> str:
        """STRING: one byte a call, its final state's code, or zero."""
        return f"{self.root}st:{batch}"

    def records(self, batch: str) -> str:
        """HASH: ``first+count`` -> signed result record. The truth about results; never changes with its state set."""
        return f"{self.root}r:{batch}"

    def own_states(self, batch: str) -> str:
        """HASH with PX: call -> signed news of the state that its task has named last; of calls that run."""
        return f"{self.root}ow:{batch}"

    @property
    def batches(self) -> str:
        """ZSET: batch -> time of submission in ms; entries leave when the batch is gone."""
        return f"{self.root}batches"

    def kept(self, name: str) -> str:
        """STRING with PX: ``batch index``, the call whose result is kept under a name, which its record bears too."""
        return f"{self.root}m:{name}"

    def unique(self, key: str) -> str:
        """STRING with PX: ``batch since until``, the call that a key of a unique task stands for (ms; 0: no end)."""
        return f"{self.root}un:{key}"

    def function(self, digest: str) -> str:
        """STRING: signed function record."""
        return f"{self.root}f:{digest}"

    def blob(self, blob: str, piece: int) -> str:
        """STRING: a piece of a large value."""
        return f"{self.root}o:{blob}:{piece}"

    @staticmethod
    def blob_name(key: str) -> str | None:
        """Return the name that :meth:`blob` was asked for with; None where it is none of ours."""
        name = key.split(":")[-2] if key.count(":") > 1 else ""
        return name if name.isalnum() else None

    def batch_blobs(self, batch: str) -> str:
        """SET: keys of the blobs that live as long as the batch."""
        return f"{self.root}ob:{batch}"

    def session(self, session: str) -> str:
        """HASH: n (number of the last flush applied)."""
        return f"{self.root}s:{session}"

    def events(self, session: str) -> str:
        """STREAM: what the session's listener is told. A hint: the truth is in records and states."""
        return f"{self.root}e:{session}"

    @property
    def happened(self) -> str:
        """STREAM: what has happened to calls and workers: signed notes as ``h``, signed labels of batches by their ids.

        For who looks on; nothing else depends on it.
        """
        return f"{self.root}ev"

    def lease(self, worker: str) -> str:
        """STRING: how long a renewal counts (ms), and a number that grows with each: a dead worker's stands still."""
        return f"{self.root}w:{worker}"

    def worker_info(self, worker: str) -> str:
        """STRING with PX: JSON for display."""
        return f"{self.root}i:{worker}"

    @property
    def workers(self) -> str:
        """ZSET: worker -> last seen, in ms of the server's clock; 0 of one that is known to be dead."""
        return f"{self.root}workers"

    @property
    def control(self) -> str:
        """STREAM: signed control records, and hints about calls that fall due."""
        return f"{self.root}ctl"

    @property
    def task_limits(self) -> str:
        """HASH: task -> signed order that sets limits of its calls, for workers that begin later."""
        return f"{self.root}tl"

    def answer(self, reply: str, worker: str) -> str:
        """STRING with PX: signed answer of a worker to an order."""
        return f"{self.root}an:{reply}:{worker}"

    @property
    def ahead(self) -> str:
        """STRING: by how many ms the server's clock was set forward, all in all, since somebody reckons its time."""
        return f"{self.root}ahead"

    @property
    def audited(self) -> str:
        """STRING: life of the server in which entries that nobody holds were last looked for."""
        return f"{self.root}audited"

    def lock(self, what: str) -> str:
        """STRING with PX: election of one supervisor for a duty."""
        return f"{self.root}lock:{what}"

    def lock_holders(self, lock: str) -> str:
        """HASH: name -> ``capacity token since consumer title`` of who holds a lock of tasks. More in lock.lua.

        Beside it are ``lq:<lock>``, a ZSET of those who wait, by ticket, and ``lt:<lock>``, a HASH of those whose turn
        it is. ``tk``, a STRING, is the last ticket.
        """
        return f"{self.root}lk:{lock}"

    def locks_of(self, worker: str) -> str:
        """HASH: as names what a worker, or a client, holds: ``lock name``."""
        return f"{self.root}lh:{worker}"

    def lock_calls(self, name: str) -> str:
        """STREAM with PX: tells code that waits for a lock, under its name, that it is its turn."""
        return f"{self.root}lw:{name}"

    @property
    def lines(self) -> str:
        """HASH: as names the locks that somebody waits for."""
        return f"{self.root}locks"
