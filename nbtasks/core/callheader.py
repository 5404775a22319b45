"""What travels with calls beside their arguments. Its short keys stand here and nowhere else.

A reader passes on what a newer sender says besides, and does not look at it. What nobody may overlook, a lock for
instance, that sender names under ``mu``: whoever does not know it refuses the calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .inputs import Input, calls_of, inputs_from_wire, inputs_to_wire
from .lanenames import NORMAL
from .lock import Lock, locks_from_wire, locks_to_wire
from .madeonce import made_once
from .wirefields import WireField, WireFields, flag, from_base64, named, number, text, texts, to_base64, whole
from .wirejson import as_json

#: Bytes that the arguments of a call may take; and that a result may, where nobody has said anything else.
ARGUMENT_LIMIT_BYTES = 512 * 2**20
#: A function goes to the broker in one piece, and no Redis takes more than 512 MiB in one, by default.
FUNCTION_LIMIT_BYTES = 500 * 2**20
RESULT_LIMIT_BYTES = 512 * 2**20


@dataclass(frozen=True)
class CallHeader:
    """What is said of all calls of a chunk.

    Attributes:
        name: the task's.
        lane: of the queue.
        single: the batch is this call; else it is one of a map.
        together: it is several single calls that share a batch, and no map.
        preview: a card shows the result.
        at_most_once: a call that may have begun is not run again after a loss.
        seed: of random numbers, None where they come from chance.
        result_limit: bytes that a result may take.
        place: where results may be put into files, and who asks sees them; empty where nowhere.
        files: of large values that the arguments refer to.
        hides_variables: of frames that fail, none leave the worker.
        modules: local modules that the arguments need and the function does not bring, packed.
        memo: names under which the results of the chunk's calls are kept, as in memo.py; empty where they are not.
        inputs: what the calls need of others before them; who does not know of it must not run them.
        root: id of the call with which the workflow begins that leads to these; what ends with a colon lacks the index,
            which is that of each call. Empty where the calls themselves are that.
        keeps_value: other calls need the results, so they are kept also where the task ignores them.
        task_id: the call's id, where its caller has given it one.
        shadow: what logs call the task instead of its name.
        user_headers: what the caller has given for the task to read.
        eta_at: from when on they may start, in epoch seconds of the caller; None: at once.
        stands_in: their values come from the calls that have taken their places; their function does not run.
        nesting: how often in a row calls have taken the place of another before these did.
        overrides: option of the task -> what it is for these calls.
        locks: what each of them holds while it runs; who does not know of it must not run them.
        periodic_name: of the periodic task that they are a run of; empty where they are of none.
        scheduled_for: when that run was due, in epoch seconds of the server; None where nothing was due.
        more: what a newer sender has said besides, as it was sent.
    """

    name: str = "task"
    lane: str = NORMAL
    single: bool = False
    together: bool = False
    preview: bool = False
    at_most_once: bool = False
    seed: int | None = None
    result_limit: int = RESULT_LIMIT_BYTES
    place: str = ""
    files: tuple[str, ...] = ()
    hides_variables: bool = False
    modules: bytes = b""
    memo: bytes = b""
    inputs: tuple[Input, ...] = ()
    root: str = ""
    keeps_value: bool = False
    task_id: str = ""
    shadow: str = ""
    user_headers: Mapping[str, Any] = field(default_factory=dict)
    eta_at: float | None = None
    stands_in: bool = False
    nesting: int = 0
    overrides: Mapping[str, float | None] = field(default_factory=dict)
    locks: tuple[Lock, ...] = ()
    periodic_name: str = ""
    scheduled_for: float | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    def root_of(self, index: int) -> str:
        """Return the id of the call that leads to one of these; empty where it is that itself."""
        return f"{self.root}{index}" if self.root.endswith(":") else self.root

    def parent_of(self, index: int) -> str | None:
        """Return the id of the call before one of these, of several the first; None where there is none."""
        before = next(calls_of(self.inputs[0].at(index)), None) if self.inputs else None
        return None if before is None else before.id_of(before.first)

    @made_once
    def json(self) -> str:
        """Its fields, as :func:`as_json` has them. All chunks of a batch have the same, so they are made once."""
        return as_json(self.to_wire())

    def to_wire(self) -> dict[str, Any]:
        """Return it as JSON types."""
        wire = {**self.more, **_FIELDS.written(self)}
        for name, value in self.overrides.items():
            wire[_KEYS_OF_OVERRIDES[name]] = int(value) if isinstance(value, bool) else value
        own = [
            key
            for key, said in ((_INPUTS, self.inputs), (_STANDS_IN, self.stands_in), (_LOCKS, self.locks))
            if said
        ]
        if own:
            wire["mu"] = [*dict.fromkeys([*texts(self.more.get("mu", [])), *own])]
        return wire

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> CallHeader:
        """Read what :meth:`to_wire` has made, here or in another version.

        Raises:
            ValueError: it makes no sense, or calls must not be run by who does not know all that it says.
        """
        said: dict[str, Any] = {}
        overrides: dict[str, float | None] = {}
        more: dict[str, Any] = {}
        for key, value in wire.items():
            if (item := _FIELDS.fields.get(key)) is not None:
                said[item.name] = item.read(value)
            elif (item := _OVERRIDES.get(key)) is not None:
                overrides[item.name] = None if value is None else item.read(value)
            else:
                more[key] = value
        if "mu" in more:
            _refuse_unknown(texts(more["mu"]))
        return cls(**said, overrides=overrides, more=more)


def _refuse_unknown(needed: tuple[str, ...]) -> None:
    unknown = [key for key in needed if key not in _FIELDS.fields and key not in _OVERRIDES]
    if unknown:
        raise ValueError(f"they need a newer nbtasks, one that knows {', '.join(unknown)}")


#: The keys of what nobody may overlook.
_INPUTS, _STANDS_IN, _LOCKS = "in", "ry", "lk"
_FIELDS = WireFields(
    CallHeader,
    {
        "nm": WireField("name", text),
        "p": WireField("lane", text),
        "one": WireField("single", flag, int),
        "tg": WireField("together", flag, int),
        "pv": WireField("preview", flag, int),
        "mo": WireField("at_most_once", flag, int),
        "sd": WireField("seed", whole),
        "rl": WireField("result_limit", whole),
        "pl": WireField("place", text),
        "fl": WireField("files", texts, list),
        "hv": WireField("hides_variables", flag, int),
        "md": WireField("modules", from_base64, to_base64),
        "mm": WireField("memo", from_base64, to_base64),
        _INPUTS: WireField("inputs", inputs_from_wire, inputs_to_wire),
        "rt": WireField("root", text),
        "kv": WireField("keeps_value", flag, int),
        "ti": WireField("task_id", text),
        "sw": WireField("shadow", text),
        "hd": WireField("user_headers", named, dict),
        "et": WireField("eta_at", number),
        _STANDS_IN: WireField("stands_in", flag, int),
        "rn": WireField("nesting", whole),
        _LOCKS: WireField("locks", locks_from_wire, locks_to_wire),
        "pn": WireField("periodic_name", text),
        "sf": WireField("scheduled_for", number),
    },
)
_OVERRIDES = {
    "tl": WireField("time_limit", number),
    "sl": WireField("soft_time_limit", number),
    "mr": WireField("max_retries", whole),
    "ir": WireField("ignore_result", flag),
}
_KEYS_OF_OVERRIDES = {item.name: key for key, item in _OVERRIDES.items()}
#: Options of a task that may be in :attr:`CallHeader.overrides`.
OVERRIDABLE = tuple(_KEYS_OF_OVERRIDES)
