# SPDX-License-Identifier: Apache-2.0
"""Values behave as the dataclasses that they stand for: each law is tried on both."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import pickle
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import FrozenInstanceError, field, fields, replace
from typing import Any

import pytest

import imagekit
from imagekit.values import frozen

KINDS = pytest.mark.parametrize("kind", ["Value", "Data"])


@frozen
class Value:
    """Every form of field."""

    first: int
    second: str = "two"
    secret: str = field(default="", repr=False)
    noted: Mapping[str, str] = field(default_factory=dict, hash=False)
    aside: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        if self.first < 0:
            raise ValueError("below zero")

    @property
    def double(self) -> int:
        return 2 * self.first


@dataclasses.dataclass(frozen=True, slots=True)
class Data:
    """The same."""

    first: int
    second: str = "two"
    secret: str = field(default="", repr=False)
    noted: Mapping[str, str] = field(default_factory=dict, hash=False)
    aside: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        if self.first < 0:
            raise ValueError("below zero")

    @property
    def double(self) -> int:
        return 2 * self.first


@frozen
class Named:
    """Its equality is its own."""

    name: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named) and other.name.lower() == self.name.lower()

    def __hash__(self) -> int:
        return hash(self.name.lower())

    def __repr__(self) -> str:
        return self.name


def made(kind: str) -> Callable[..., Any]:
    return {"Value": Value, "Data": Data}[kind]


@KINDS
def test_arguments_come_by_place_and_by_name(kind: str) -> None:
    """What is not given is the default; a factory makes a new one each time."""
    cls = made(kind)
    one = cls(1, secret="s")
    assert (one.first, one.second, one.secret, one.noted, one.aside) == (1, "two", "s", {}, 0)
    assert cls(1, "x", "y", {"a": "b"}, 3) == cls(first=1, second="x", secret="y", noted={"a": "b"})
    assert cls(1).noted is not cls(1).noted
    assert one.double == 2


@KINDS
@pytest.mark.parametrize(
    ("given", "named"),
    [((), {}), ((1, "", "", {}, 0, 0), {}), ((1,), {"first": 1}), ((1,), {"other": 1})],
)
def test_wrong_arguments_are_refused(
    kind: str, given: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """One missing, one too many, one given twice, one unknown."""
    with pytest.raises(TypeError):
        made(kind)(*given, **named)


@KINDS
def test_what_is_checked_is_checked_however_it_is_made(kind: str) -> None:
    """`__post_init__` runs for the class, for `replace` and for `copy`."""
    with pytest.raises(ValueError, match="below zero"):
        made(kind)(-1)
    with pytest.raises(ValueError, match="below zero"):
        replace(made(kind)(1), first=-1)


@KINDS
def test_a_value_does_not_change(kind: str) -> None:
    """No field can be set or deleted, and there is room for nothing else."""
    one = made(kind)(1)
    with pytest.raises(FrozenInstanceError):
        one.first = 2
    with pytest.raises(FrozenInstanceError):
        del one.first
    assert not hasattr(one, "__dict__")


@KINDS
def test_equality_and_hash_are_those_of_the_fields(kind: str) -> None:
    """But for those that are left out, and never with another class."""
    cls = made(kind)
    assert cls(1, aside=5) == cls(1)
    assert cls(1, noted={"a": "b"}) != cls(1)
    assert hash(cls(1, noted={"a": "b"}, aside=5)) == hash(cls(1))
    assert len({cls(1), cls(1), cls(2), cls(1, "x")}) == 3
    others = {cls(1), made("Data")(1), made("Value")(1)}
    assert len(others) == 2


@KINDS
def test_it_is_shown_without_what_is_hidden(kind: str) -> None:
    """As an expression; a secret is in no traceback."""
    shown = repr(made(kind)(1, secret="s"))
    assert shown == f"{kind}(first=1, second='two', noted={{}}, aside=0)"


@KINDS
def test_it_matches_by_place(kind: str) -> None:
    """Class patterns take the fields in their order."""
    match made(kind)(1, "x"):
        case Value(1, second) | Data(1, second):
            assert second == "x"
        case _:
            pytest.fail("no match")


@KINDS
def test_it_is_copied_and_pickled(kind: str) -> None:
    """An equal one of the same class."""
    one = made(kind)(1, noted={"a": "b"}, aside=5)
    for again in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert (again, again.aside, type(again)) == (one, 5, type(one))


@KINDS
def test_dataclasses_take_it(kind: str) -> None:
    """`fields`, `asdict`, `astuple` and `replace`, with what is nested."""
    one = made(kind)(1)
    assert [each.name for each in fields(one)] == ["first", "second", "secret", "noted", "aside"]
    assert dataclasses.astuple(one) == (1, "two", "", {}, 0)
    assert replace(one, second="x") == made(kind)(1, "x")
    assert dataclasses.asdict(made(kind)(1, noted={"in": one}))["noted"]["in"]["first"] == 1


def test_methods_of_its_own_stay() -> None:
    """Equality, hash and repr are those of the class where it has some."""
    assert Named("a") == Named("A")
    assert len({Named("a"), Named("A")}) == 1
    assert repr(Named("a")) == "a"


def _values() -> list[type]:
    found = []
    for module in pkgutil.walk_packages(imagekit.__path__, "imagekit."):
        loaded = importlib.import_module(module.name)
        found += [
            each
            for each in vars(loaded).values()
            if isinstance(each, type) and each.__module__ == loaded.__name__
            if type(vars(each).get("__dataclass_fields__")).__module__ == "imagekit.values"
        ]
    return found


def test_every_value_of_imagekit_is_what_dataclasses_accept() -> None:
    """No default that can change, none before a field without one, no pseudo-field, no base's."""
    values = _values()
    assert len(values) > 100
    for each in values:
        inherited = [x for base in each.__mro__[1:] for x in getattr(base, "__annotations__", ())]
        # By this a dataclass of the same fields is made, which raises for bad defaults.
        assert len(fields(each)) == len(each.__annotations__)
        assert inherited == []
