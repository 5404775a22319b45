"""What is put back after calls, and what they have written past Python taken up; after short ones it may wait."""

from __future__ import annotations

from nbtasks.worker.isolation.descriptors import DescriptorFile
from nbtasks.worker.isolation.surroundings import Surroundings


class Aftercare:
    """Of one child.

    Attributes:
        surroundings: what each call finds as the one before has found it.
        descriptors: what goes to the file descriptors 1 and 2.
    """

    def __init__(self, surroundings: Surroundings, descriptors: DescriptorFile) -> None:
        self.surroundings = surroundings
        self.descriptors = descriptors
        #: Short calls have run after which nothing was looked at.
        self._unlooked = False

    def after(self, seconds: float, alone: bool) -> bool:
        """Look after a call that has run in the main thread; returns False where that was put off.

        Args:
            alone: no other call runs in this process.
        """
        looked = self.surroundings.restore(seconds, may_wait=True, alone=alone)
        self._unlooked = not looked
        if looked:
            self.descriptors.hold()
        return looked

    def catch_up(self, alone: bool) -> None:
        """Look after short calls, where that was put off."""
        if self._unlooked:
            self.surroundings.restore(0.0, alone=alone)
            self.descriptors.hold()
            self._unlooked = False

    def before_beside(self, alone: bool) -> None:
        """Look before calls that run beside the main thread: others of these may have changed it while it waited."""
        self.surroundings.restore(0.0, alone=alone)
        if alone:
            self.descriptors.hold()
