"""How classes travel that no other process can import: those of a notebook, and those made inside functions.

Where a class is known already it is used as it is, and what came with it is left unread: to read a result changes
nothing. Where it is not, it is put together again from what it was made of. That is no second definition: no
``__init_subclass__`` runs, no method of its metaclass, no ``__set_name__``, so nothing is registered twice.
"""

from __future__ import annotations

import abc
import copyreg
import enum
import sys
import types
import uuid
import weakref
from collections.abc import Mapping
from typing import Any

from nbtasks.wire.modules.byname import travels_by_name
from nbtasks.wire.modules.world import is_of_other_world

from . import mainspace
from .opening import current_opening

_BLANK = "__nbtasks_blank__"
#: What a metaclass or Python makes itself for every class, or what is made of the other parts.
_NOT_CARRIED = frozenset({_BLANK, "_abc_impl", "__annotate_func__", "__annotations_cache__", "__annotate__"})
_METHODS = (types.FunctionType, classmethod, staticmethod, property)

#: Ids of classes, by their place in memory; where one is forgotten, its id goes.
_ids: dict[int, tuple[weakref.ref[type], str]] = {}
#: Classes that were made in this process and have been sent from it.
_born_here: weakref.WeakValueDictionary[str, type] = weakref.WeakValueDictionary()
#: Classes that came from elsewhere: the last one that was rebuilt.
_from_elsewhere: weakref.WeakValueDictionary[str, type] = weakref.WeakValueDictionary()


def travels_by_value(kind: type) -> bool:
    """Whether other processes cannot import a class."""
    return not (travels_by_name(kind) or is_of_other_world(kind))


def reduced(value: Any) -> Any:
    """Return a class that travels by value, or a member of such an enum, as pickle wants it; else NotImplemented."""
    kind = type(value)
    if isinstance(kind, enum.EnumMeta):
        return _reduced_member(value) if travels_by_value(kind) else NotImplemented
    if not issubclass(kind, type) or value.__module__ == "builtins" or not travels_by_value(value):
        return NotImplemented
    return _reduced_class(value)


def _reduced_class(kind: Any) -> tuple[Any, ...]:
    namespace, attributes = _parts_of(kind)
    data, seeds, members = (
        _taken_apart(kind, attributes) if isinstance(kind, enum.EnumMeta) else (object, None, None)
    )
    early = {name: value for name, value in attributes.items() if _comes_early(name, value)}
    others = {name: value for name, value in attributes.items() if name not in early}
    made = (id_of(kind), type(kind), kind.__name__, kind.__bases__, namespace, data, seeds)
    state = (_Early(kind, early), others, _registered_with(kind), members, mainspace.named_by(kind))
    return make_class, made, state, None, None, fill_class


def _comes_early(name: str, value: Any) -> bool:
    """Whether an attribute may be needed to build an instance that is an attribute itself.

    Those are built by methods of the class and by what dataclasses and their like keep there. But not by ``__new__``,
    which may look at other attributes, as a singleton's does.
    """
    is_special = name.startswith("__") and name.endswith("__")
    return name != "__new__" and (is_special or isinstance(value, _METHODS))


def id_of(kind: type) -> str:
    """Return what a class is known by in all processes."""
    found = _ids.get(id(kind))
    if found is not None and found[0]() is kind:
        return found[1]
    class_id = uuid.uuid4().hex
    _note_id(kind, class_id)
    _born_here[class_id] = kind
    return class_id


def _note_id(kind: type, class_id: str) -> None:
    place = id(kind)
    _ids[place] = (weakref.ref(kind, lambda ref: _forget_id(place, ref)), class_id)


def _forget_id(place: int, ref: weakref.ref[type]) -> None:
    # Another class may lie there by now.
    if _ids.get(place, (None,))[0] is ref:
        del _ids[place]


def _known(class_id: str) -> type | None:
    opening = current_opening()
    if opening is not None:
        found = opening.find(class_id)
        if found is not None or opening.is_reading:
            return found
    return _born_here.get(class_id) or (_from_elsewhere.get(class_id) if opening is None else None)


def are_in(packed: bytes) -> bool:
    """Whether something that was pickled may hold classes of its own."""
    return make_class.__name__.encode() in packed


# -- taking apart


def _parts_of(kind: type) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a class has to be made with, and what can be set afterwards."""
    own = dict(vars(kind))
    namespace: dict[str, Any] = {"__qualname__": kind.__qualname__}
    layout = [name for name, value in own.items() if _is_slot(kind, name, value)]
    if "__slots__" in own:
        namespace["__slots__"] = tuple(layout)
    for name in layout:
        del own[name]
    for name in ("__dict__", "__weakref__"):
        if isinstance(own.get(name), types.GetSetDescriptorType):
            del own[name]
    for name in ("__module__", "__dict__"):
        if name in own:
            namespace[name] = own.pop(name)
    for name in _NOT_CARRIED:
        own.pop(name, None)
    if sys.version_info >= (3, 14):
        own["__annotations__"] = _annotations_of(kind)
    return namespace, own


def _annotations_of(kind: type) -> dict[str, Any]:
    """Return annotations, which Python 3.14 evaluates when they are asked for; what cannot be is left as text."""
    import annotationlib  # type: ignore[import-not-found, unused-ignore]

    try:
        found: dict[str, Any] = annotationlib.get_annotations(kind, format=annotationlib.Format.VALUE)
    except Exception:
        found = annotationlib.get_annotations(kind, format=annotationlib.Format.STRING)
    return found


def _is_slot(kind: type, name: str, value: Any) -> bool:
    if not isinstance(value, (types.MemberDescriptorType, types.GetSetDescriptorType)):
        return False
    if value.__objclass__ is not kind:
        # Until Python 3.10 a dataclass with slots has some of the class that it was made from.
        return False
    return name not in {"__dict__", "__weakref__"} or "__slots__" in vars(kind)


def _registered_with(kind: type) -> list[type]:
    if not isinstance(kind, abc.ABCMeta):
        return []
    registry = abc._get_dump(kind)[0]  # type: ignore[attr-defined]
    return [found for found in (ref() for ref in registry) if found is not None]


class _Early:
    """Pickles as a call that sets attributes of a class when it is read, before what comes after it is read."""

    def __init__(self, kind: type, attributes: Mapping[str, Any]) -> None:
        self._parts = (kind, attributes)

    def __reduce__(self) -> tuple[Any, ...]:
        return set_attributes, self._parts


# -- putting together


def make_class(
    class_id: str,
    metaclass: type,
    name: str,
    bases: tuple[type, ...],
    namespace: dict[str, Any],
    data: type,
    seeds: dict[str, Any] | None,
) -> type:
    """Return a class that is known by this id, or a blank one; named in pickles, so it keeps its name and place."""
    found = _known(class_id)
    if found is not None:
        return found
    kind = _blank(metaclass, name, bases, {**namespace, _BLANK: True})
    if seeds is not None:
        _add_members(kind, data, seeds)
    _note_id(kind, class_id)
    _from_elsewhere[class_id] = kind
    opening = current_opening()
    if opening is not None:
        opening.keep(class_id, kind)
    return kind


def set_attributes(kind: type, attributes: Mapping[str, Any]) -> None:
    """Set attributes of a class that is blank; named in pickles, so it keeps its name and place."""
    if _BLANK not in vars(kind):
        return
    for name, value in attributes.items():
        _set(kind, name, value)


def fill_class(kind: type, state: tuple[Any, ...]) -> None:
    """Give a blank class what it had; named in pickles, so it keeps its name and place."""
    _, attributes, registered, members, named = state
    if _BLANK not in vars(kind):
        return
    mainspace.keep(kind, named)
    if members is not None:
        _fill_members(kind, attributes, members)
    set_attributes(kind, attributes)
    for one in registered:
        abc.ABCMeta.register(kind, one)  # type: ignore[arg-type]
    # Python takes it away where __module__ or the like are set.
    if "__firstlineno__" in attributes:
        _set(kind, "__firstlineno__", attributes["__firstlineno__"])
    type.__delattr__(kind, _BLANK)


def _set(kind: type, name: str, value: Any) -> None:
    try:
        # Without what the metaclass makes of it.
        type.__setattr__(kind, name, value)
    except TypeError:
        # It is one of those that are written in C.
        setattr(kind, name, value)


def _blank(metaclass: type, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
    try:
        kind = _without_init_subclass(metaclass, name, bases, namespace)
    except TypeError:
        # A metaclass that is written in C, of ctypes or of Qt say, wants to make its classes itself.
        return types.new_class(name, bases, {"metaclass": metaclass}, lambda made: made.update(namespace))
    if issubclass(metaclass, abc.ABCMeta):
        abc._abc_init(kind)  # type: ignore[attr-defined]
    return kind


def _without_init_subclass(
    metaclass: type, name: str, bases: tuple[type, ...], namespace: dict[str, Any]
) -> type:
    """Make a class as ``type`` does, but with a first base that has the last word in ``__init_subclass__``.

    That base is taken away again, for which it has to have the layout of what is put in its place.
    """
    if not any("__init_subclass__" in vars(base) for one in bases for base in one.__mro__[:-1]):
        plain: type = type.__new__(metaclass, name, bases, namespace)
        return plain
    for quiet in _QUIET:
        try:
            kind: type = type.__new__(metaclass, name, (quiet, *bases), dict(namespace))
            type.__setattr__(kind, "__bases__", bases)
        except TypeError:
            continue
        return kind
    return types.new_class(name, bases, {"metaclass": metaclass}, lambda made: made.update(namespace))


def _swallow(cls: type, /, **kwargs: Any) -> None:
    """Stand in for ``__init_subclass__``."""


def _quiet(*slots: str) -> type:
    return type("_Quiet", (), {"__slots__": slots, "__init_subclass__": classmethod(_swallow)})


_QUIET = (_quiet("__dict__", "__weakref__"), _quiet(), _quiet("__dict__"), _quiet("__weakref__"))


# -- enums: their members are made before anything can refer to them, without what makes them in a definition


def _reduced_member(member: Any) -> tuple[Any, ...]:
    kind, name = type(member), vars(member).get("_name_")
    if kind._member_map_.get(name) is member:
        return member_of, (kind, name)
    return combination_of, (kind, vars(member)["_value_"], _seed(kind, member), dict(vars(member)))


def member_of(kind: Any, name: str) -> Any:
    """Return a member of an enum; named in pickles, so it keeps its name and place."""
    return kind._member_map_[name]


def combination_of(kind: Any, value: Any, seed: tuple[Any, ...], attributes: dict[str, Any]) -> Any:
    """Return a member without a name of its own; named in pickles, so it keeps its name and place."""
    if _BLANK not in vars(kind):
        return kind(value)
    found = kind._value2member_map_.get(value)
    if found is None:
        found = kind._value2member_map_[value] = _new_member(kind, kind._member_type_, seed)
        vars(found).update(attributes)
    return found


def _taken_apart(kind: Any, attributes: dict[str, Any]) -> tuple[type, dict[str, Any], dict[str, Any]]:
    """Return the data type of an enum, what its members are made of and begin with by name, and their attributes.

    A name that is another one's alias has that in the place of both.
    """
    seeds: dict[str, Any] = {}
    states: dict[str, Any] = {}
    for name, member in kind._member_map_.items():
        first = vars(member).get("_name_")
        if first in seeds and kind._member_map_[first] is member:
            seeds[name] = first
        else:
            state = states[name] = dict(vars(member))
            # What an enum's hash is made of: a member may be the key of a dict that comes before its state.
            early = {key: state[key] for key in ("_name_", "_value_") if type(state.get(key)) in {int, str}}
            seeds[name] = (_seed(kind, member), early)
    known = attributes.get("_value2member_map_")
    if known:
        # Combinations of flags are kept among the values; they are made again when they are asked for.
        named = {id(member) for member in kind._member_map_.values()}
        attributes["_value2member_map_"] = {v: member for v, member in known.items() if id(member) in named}
    return kind._member_type_, seeds, states


def _seed(kind: Any, member: Any) -> tuple[Any, ...]:
    """Return what a member's data type makes it of: a number, say."""
    data = kind._member_type_
    if data is object:
        return ()
    made, args = data.__reduce_ex__(member, 2)[:2]
    return tuple(args[1:]) if made is copyreg.__newobj__ else tuple(args)  # type: ignore[attr-defined]


def _new_member(kind: type, data: type, seed: tuple[Any, ...]) -> Any:
    try:
        return data.__new__(kind, *seed)
    except TypeError:
        return object.__new__(kind)


def _add_members(kind: Any, data: type, seeds: Mapping[str, Any]) -> None:
    members: dict[str, Any] = {}
    for name, seed in seeds.items():
        if isinstance(seed, str):
            members[name] = members[seed]
        else:
            made, early = seed
            members[name] = _new_member(kind, data, made)
            vars(members[name]).update(early)
    for attribute, value in (("_member_map_", members), ("_value2member_map_", {}), ("_member_type_", data)):
        _set(kind, attribute, value)


def _fill_members(kind: Any, attributes: dict[str, Any], states: Mapping[str, Any]) -> None:
    for name, state in states.items():
        vars(kind._member_map_[name]).update(state)
    if "_value2member_map_" in attributes:
        attributes["_value2member_map_"] = {**kind._value2member_map_, **attributes["_value2member_map_"]}
