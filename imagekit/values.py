# SPDX-License-Identifier: Apache-2.0
"""Values: classes that behave as dataclasses with `frozen=True, slots=True` do, and cost less.

`dataclass` writes and compiles six functions per class, which is over half a millisecond; a command
that loads a hundred classes waits longer for them than for its work. Here all classes share their
functions, so making a class costs next to nothing, and an instance what it did (decision 22).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, FrozenInstanceError, field
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: object) -> Callable[[Any], Any]:
        """For type checkers alone: Python has it since 3.11."""
        return lambda function: function


_Class = TypeVar("_Class", bound=type)
_set = object.__setattr__


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: _Class) -> _Class:
    """Make a class of values, as `dataclass(frozen=True, slots=True)` does.

    `field` and `__post_init__` are understood, and `dataclasses.replace`, `fields` and `asdict`
    take instances. It knows no pseudo-fields (`ClassVar`, `InitVar`) and no fields of bases.
    """
    names = tuple(cls.__annotations__)
    namespace = {k: v for k, v in cls.__dict__.items() if k not in ("__dict__", "__weakref__")}
    given = {name: namespace.pop(name) for name in names if name in namespace}
    fields = {name: each for name, each in given.items() if isinstance(each, Field)}
    namespace |= {
        "__slots__": names,
        "__match_args__": names,
        "__qualname__": cls.__qualname__,
        "__dataclass_fields__": _Fields(given),
        "_defaults": dict(_defaults(given)),
        "_shown": tuple(x for x in names if x not in fields or fields[x].repr),
        "_compared": tuple(x for x in names if x not in fields or fields[x].compare),
        "_hashed": tuple(x for x in names if x not in fields or _is_hashed(fields[x])),
        "__setattr__": _refuse,
        "__delattr__": _refuse,
        "__init__": _checked_init if "__post_init__" in namespace else _init,
        "__reduce__": _reduce,
    }
    if namespace.get("__hash__") is None:  # what Python puts beside an __eq__ of the class's own
        namespace["__hash__"] = _hash
    namespace = {"__eq__": _eq, "__repr__": _repr, **namespace}
    made: _Class = type(cls)(cls.__name__, cls.__bases__, namespace)
    return made


class _Fields:
    """`__dataclass_fields__` of a class, by a dataclass that is made when they are asked for."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given
        self._made: dict[str, Field[Any]] | None = None

    def __get__(self, _: object, owner: type) -> dict[str, Field[Any]]:
        if self._made is None:
            body = {"__annotations__": owner.__annotations__, **self._given}
            twin: Any = type(owner.__name__, (), body)
            plain = dataclasses.dataclass(init=False, repr=False, eq=False)
            self._made = plain(twin).__dataclass_fields__
        return self._made


def _defaults(given: Mapping[str, Any]) -> Iterator[tuple[str, Callable[[], Any]]]:
    for name, each in given.items():
        if not isinstance(each, Field):
            yield name, _always(each)
        elif each.default is not MISSING:
            yield name, _always(each.default)
        elif each.default_factory is not MISSING:
            yield name, each.default_factory


def _always(each: Any) -> Callable[[], Any]:
    return lambda: each


def _is_hashed(each: Field[Any]) -> bool:
    return each.compare if each.hash is None else each.hash


def _init(self: Any, *given: Any, **named: Any) -> None:
    names = self.__match_args__
    if named or len(given) != len(names):
        given = tuple(_arguments(self, given, named))
    for name, each in zip(names, given, strict=True):
        _set(self, name, each)


def _checked_init(self: Any, *given: Any, **named: Any) -> None:
    _init(self, *given, **named)
    self.__post_init__()


def _arguments(self: Any, given: Sequence[Any], named: dict[str, Any]) -> Iterator[Any]:
    """Every field's value, in order; TypeError for one too many, one missing, one given twice."""
    names = self.__match_args__
    left = names[len(given) :]
    unknown = sorted(named.keys() - set(left))
    missing = [x for x in left if x not in named and x not in self._defaults]
    if unknown or missing or len(given) > len(names):
        found = [f"{len(given)} of {len(names)} by place", *map("{} unknown".format, unknown)]
        raise TypeError(f"{type(self).__name__}: {', '.join(found)}; missing: {missing}")
    yield from given
    for name in left:
        yield named[name] if name in named else self._defaults[name]()


def _of(self: Any, names: Sequence[str]) -> tuple[Any, ...]:
    return tuple([getattr(self, name) for name in names])


def _eq(self: Any, other: Any) -> Any:
    if type(other) is not type(self):
        return NotImplemented
    return _of(self, self._compared) == _of(other, self._compared)


def _hash(self: Any) -> int:
    return hash(_of(self, self._hashed))


def _repr(self: Any) -> str:
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._shown)
    return f"{type(self).__qualname__}({shown})"


def _refuse(self: Any, name: str, *_: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot change {name!r} of {type(self).__name__}")


def _reduce(self: Any) -> tuple[Any, tuple[Any, ...]]:
    return type(self), _of(self, self.__match_args__)
