# SPDX-License-Identifier: Apache-2.0
"""The built-in types: their wire forms, both ways, and the errors that name what is wrong where."""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType, Optional, TypedDict, Union

import pytest

from entrypoint.errors import ConversionError, InputsMissingError, UserError
from entrypoint.interface import Interface
from entrypoint.place import Place
from entrypoint.types import TRANSFORMERS, read_literal, transformer_for
from entrypoint.types.files import Directory, File
from entrypoint.wire import msgpack
from entrypoint.wire.plain import plain
from entrypoint.wire.protobuf import decode, encode

UTC = timezone.utc
NOWHERE = Place(None)
UserId = NewType("UserId", int)


@dataclass
class Inner:
    when: datetime
    span: timedelta = timedelta(seconds=1.5)
    note: str | None = None


@dataclass
class Outer:
    rate: float
    inner: Inner
    several: list[Inner] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    by_number: dict[int, str] = field(default_factory=dict)
    child: Outer | None = None
    anything: dict = field(default_factory=dict)  # type: ignore[type-arg]


class Color(Enum):
    RED = "r"
    BLUE = "b"


class Numbers(Enum):
    ONE = 1


class Movie(TypedDict, total=False):
    year: int
    when: date
    sequels: list[Movie]


NOON = datetime(2024, 2, 29, 12, 0, 0, 123456, tzinfo=UTC)
OUTER = Outer(
    0.5, Inner(NOON), [Inner(NOON, note="x")], {"a": 1}, {2: "b"}, Outer(1.0, Inner(NOON))
)
WRONG: Any = 3
OUTER.anything = {"list": [1, None, {"deep": True}]}

ROUND_TRIPS = [
    (int, 0),
    (int, -1),
    (int, (1 << 63) - 1),
    (int, -(1 << 63)),
    (float, 0.1),
    (float, -0.0),
    (float, math.inf),
    (str, ""),
    (str, "é\U0001f600"),
    (bool, False),
    (bool, True),
    (None, None),
    (datetime, NOON),
    (datetime, datetime(1, 1, 1, tzinfo=UTC)),
    (datetime, datetime.max.replace(tzinfo=UTC)),
    (timedelta, timedelta(days=-1, microseconds=1)),
    (timedelta, timedelta.max),
    (list[int], []),
    (list[list[str]], [["a"], []]),
    (dict[str, float], {"b": 1.5, "a": 2.5}),
    (dict[int, str], {1: "a"}),
    (dict[str, list[bool]], {"x": [True]}),
    (dict, {"a": [1, 2.5, None, "x", {"b": True}], 3: b"y"}),
    (Optional[int], None),  # noqa: UP045
    (int | None, 7),
    (list[str | None], ["a", None]),
    (Annotated[list[int], "note"], [1]),
    (UserId, 5),
    (Outer, OUTER),
    (Outer | None, OUTER),
    (list[Inner], [Inner(NOON)]),
    (date, date(2024, 2, 29)),
    (date, date.max),
    (bytes, b"\x00\xff"),
    (Color, Color.RED),
    (dict[str, Color], {"a": Color.BLUE}),
    (Literal["a", "b"], "b"),
    (Literal[1, 2], 2),
    (Movie, {"year": 1, "when": date(2024, 1, 1), "sequels": [{"year": 2}]}),
    (int | str, 3),
    (int | str, "3"),
    (int | float, 3),
    (float | int, 3),
    (int | float, 3.0),
    (bool | int | None, True),
    (int | bool | None, None),
    (list[int] | list[str], ["a"]),
    (list[int] | list[str], []),
    (Color | int, Color.RED),
    (Union[Literal["a"], int], 4),  # noqa: UP007
    (Inner | int, Inner(NOON)),
    (dict[str, int | list[str]], {"a": 1, "b": ["c"]}),
]

# Bytes, number keys and microseconds of 2,700,000 years are more than JSON can say.
ONE_WAY = [case for case in ROUND_TRIPS if case[0] is dict] + [(timedelta, timedelta.max)]


@pytest.mark.parametrize(("annotation", "value"), ROUND_TRIPS, ids=str)
def test_a_value_comes_back_as_it_went(annotation: Any, value: Any) -> None:
    """Through the literal, its bytes, and back: the same value of the same type."""
    transformer = transformer_for(annotation)
    literal = transformer.to_literal(value, NOWHERE)
    back = read_literal(transformer, decode("Literal", encode("Literal", literal)))
    assert back == value
    assert type(back) is type(value)
    encode("LiteralType", transformer.literal_type)


@pytest.mark.parametrize(
    ("annotation", "value"), [case for case in ROUND_TRIPS if case not in ONE_WAY], ids=str
)
def test_the_json_form_is_read_back_by_the_type(annotation: Any, value: Any) -> None:
    """outputs.json of one task is inputs.json of the next."""
    transformer = transformer_for(annotation)
    literal = decode("Literal", encode("Literal", transformer.to_literal(value, NOWHERE)))
    text = json.dumps(plain(literal), allow_nan=False)
    assert transformer.unpack(json.loads(text)) == value


def test_nan_is_a_float_like_any_other() -> None:
    """On the wire, and in JSON as text."""
    transformer = transformer_for(float)
    literal = transformer.to_literal(math.nan, NOWHERE)
    assert math.isnan(transformer.from_literal(decode("Literal", encode("Literal", literal))))
    assert plain(literal) == "NaN"
    assert math.isnan(transformer.unpack("NaN"))


def test_a_naive_datetime_is_utc() -> None:
    """On the wire; inside a dataclass it stays as it is, as Flyte's does."""
    transformer = transformer_for(datetime)
    literal = transformer.to_literal(datetime(2024, 1, 1), NOWHERE)  # noqa: DTZ001
    assert transformer.from_literal(literal) == datetime(2024, 1, 1, tzinfo=UTC)
    record = transformer_for(Inner)
    naive = Inner(datetime(2024, 1, 1))  # noqa: DTZ001
    assert read_literal(record, record.to_literal(naive, NOWHERE)) == naive


@pytest.mark.parametrize(
    ("annotation", "value", "problem"),
    [
        (int, True, "expected int, got bool"),
        (int, 1.0, "expected int, got float"),
        (int, "1", "expected int, got str '1'"),
        (int, None, "expected int, got None"),
        (int, 1 << 63, "9223372036854775808 does not fit in 64 bits"),
        (int, 1 << 5000, "an int of 5001 bits does not fit in 64 bits"),
        (float, "x" * 50, "expected float, got str"),
        (float, 10**400, "is too large for a float"),
        (bool, 1, "expected bool, got int"),
        (str, b"x", "expected str, got bytes"),
        (str, "a\ud800", "holds a lone surrogate, which UTF-8 can't encode"),
        (None, 1, "expected None, got int"),
        (datetime, "2024", "expected datetime, got str"),
        (timedelta, 5, "expected timedelta, got int"),
        (list[int], (1,), "expected a list, got tuple"),
        (list[list[int]], [[1], [2, "x"]], "[1][1]: expected int, got str 'x'"),
        (dict[str, int], {"a": "x"}, "['a']: expected int, got str 'x'"),
        (dict[str, int], {1: 1}, "expected a str as key, got int"),
        (dict, {"a": Ellipsis}, "MessagePack has no form for ellipsis"),
        (dict, {"a": "\ud800"}, "a string holds a lone surrogate, which UTF-8 can't encode"),
        (Inner, OUTER, "expected Inner, got Outer"),
        (
            list[Outer],
            [OUTER, dataclasses.replace(OUTER, several=[Inner(NOON, note=WRONG)])],
            "[1].several[0].note: expected str, got int",
        ),
        (File, 3, "expected File, got int"),
        (File, "/no/such/file", "no file at /no/such/file"),
        (Directory, File("x"), "expected Directory, got File"),
    ],
    ids=str,
)
def test_a_value_of_another_type_is_refused_with_its_path(
    annotation: Any, value: Any, problem: str
) -> None:
    """The error says where inside the value, what was expected, and what was there."""
    with pytest.raises(ConversionError) as caught:
        transformer_for(annotation).to_literal(value, NOWHERE)
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("annotation", "problem"),
    [
        (complex, "type builtins.complex is not supported"),
        (dict[str, tuple[int]], "a tuple is not supported as a value; use list[T] or a dataclass"),
        (list[Iterator], "say of what: Iterator[int]"),  # type: ignore[type-arg]
        (Literal["a", 1], "must be all str, all int or all bool"),
        (Numbers, "Numbers: an Enum's values must be str"),
        (list, "say of what, as in list[int]"),
        (list[complex], "complex"),
        (Any, "type typing.Any is not supported"),
        (tuple[int, str], "tuple"),
    ],
    ids=str,
)
def test_a_type_that_is_not_supported_is_named(annotation: Any, problem: str) -> None:
    """No silent pickle."""
    with pytest.raises(ConversionError, match=r".") as caught:
        transformer_for(annotation)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("annotation", "literal", "expected"),
    [
        (float, {"scalar": {"primitive": {"integer": 3}}}, 3.0),
        (int, {"scalar": {"primitive": {"float_value": 3.0}}}, 3),
        (int | None, {"scalar": {"primitive": {"integer": 3}}}, 3),
        (int | None, {"scalar": {"none_type": {}}}, None),
        (int, {"scalar": {"binary": {"value": b"\x05", "tag": "msgpack"}}}, 5),
        (list[int], {"scalar": {"binary": {"value": b"\x92\x01\x02", "tag": "msgpack"}}}, [1, 2]),
    ],
)
def test_what_flyte_may_send_for_a_type_is_understood(
    annotation: Any, literal: Any, expected: Any
) -> None:
    """A promise's attribute comes as msgpack, a float as an integer, a value without its union."""
    value = read_literal(transformer_for(annotation), literal)
    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("annotation", "literal", "problem"),
    [
        (int, {"scalar": {"primitive": {"float_value": 3.5}}}, "expected int, got float 3.5"),
        (int, {"scalar": {"primitive": {"string_value": "3"}}}, "expected int, got string"),
        (int, {"collection": {}}, "expected int, got collection"),
        (int, {"scalar": {"binary": {"value": b"\xc1", "tag": "msgpack"}}}, "MessagePack type"),
        (int, {"scalar": {"binary": {"value": b"", "tag": "other"}}}, "tagged 'other'"),
        (datetime, {"scalar": {"primitive": {"datetime": {"seconds": 1 << 60}}}}, "no moment"),
        (timedelta, {"scalar": {"primitive": {"duration": {"seconds": 1 << 60}}}}, "no time span"),
        (str, {}, "expected str, got nothing"),
        (list[int], {"collection": {"literals": [{}]}}, "[0]: expected int, got nothing"),
    ],
)
def test_a_literal_of_another_type_is_refused(annotation: Any, literal: Any, problem: str) -> None:
    """Whatever a message holds, the answer is a value or this error."""
    with pytest.raises(ConversionError) as caught:
        read_literal(transformer_for(annotation), literal)
    assert problem in str(caught.value)


def test_a_dataclass_names_unknown_and_missing_fields() -> None:
    """A misspelt field is an error with a suggestion, not a default."""
    record = transformer_for(Inner)
    with pytest.raises(ConversionError, match=r"Inner has no field 'spam'; did you mean span\?"):
        record.unpack({"when": "2024-01-01", "spam": 1})
    with pytest.raises(ConversionError, match="Inner lacks when"):
        record.unpack({"span": 3})


def test_a_dataclass_on_the_wire_is_msgpack_of_its_fields() -> None:
    """As flytekit packs it: ISO dates, seconds, None."""
    record = transformer_for(Inner)
    binary = record.to_literal(Inner(NOON), NOWHERE)["scalar"]["binary"]
    assert binary["tag"] == "msgpack"
    assert msgpack.decode(binary["value"]) == {
        "when": "2024-02-29T12:00:00.123456+00:00",
        "span": 1.5,
        "note": None,
    }


def test_files_are_stored_once_and_passed_on_as_they_came(tmp_path: Path) -> None:
    """A returned file is copied under the prefix; an input file that is returned is not."""
    made = tmp_path / "made.txt"
    made.write_text("content")
    place = Place(str(tmp_path / "raw"))
    transformer = transformer_for(File)
    value = File(made)
    first = transformer.to_literal(value, place)
    assert transformer.to_literal(value, place) == first
    uri = first["scalar"]["blob"]["uri"]
    assert uri.startswith(f"{tmp_path}/raw/")
    assert uri.endswith("/made.txt")
    again = read_literal(transformer, first)
    with again.open() as file:
        assert file.read() == "content"
    assert transformer.to_literal(again, place) == first
    assert transformer.to_literal(File("s3://bucket/key"), place)["scalar"]["blob"]["uri"] == (
        "s3://bucket/key"
    )


def test_directories_are_stored_whole(tmp_path: Path) -> None:
    """With what is in them, under their own name."""
    (tmp_path / "made" / "sub").mkdir(parents=True)
    (tmp_path / "made" / "sub" / "a").write_text("A")
    transformer = transformer_for(Directory)
    literal = transformer.to_literal(Directory(tmp_path / "made"), Place(f"file://{tmp_path}/raw"))
    blob = literal["scalar"]["blob"]
    assert blob["metadata"] == {"type": {"dimensionality": 1}}
    back = read_literal(transformer, literal)
    with open(f"{back.path}/sub/a") as file:
        assert file.read() == "A"
    with pytest.raises(ConversionError, match="expected File, got a directory"):
        read_literal(transformer_for(File), literal)


def test_an_input_file_that_is_not_there_is_the_systems_fault(tmp_path: Path) -> None:
    """It is said when the task opens it, and is no error of the user's."""
    file = transformer_for(File).unpack(str(tmp_path / "gone"))
    with pytest.raises(InputsMissingError, match="gone does not exist"):
        file.open()


def test_numpy_scalars_count_as_the_values_that_they_hold() -> None:
    """Metrics are often numpy.float32; a wrong one is still wrong."""

    class Float32:
        shape = ()

        def item(self) -> Any:
            return 0.5

    Float32.__module__ = "numpy"
    literal = transformer_for(float).to_literal(Float32(), NOWHERE)
    assert literal == {"scalar": {"primitive": {"float_value": 0.5}}}
    with pytest.raises(ConversionError, match="expected int, got float"):
        transformer_for(int).to_literal(Float32(), NOWHERE)


def test_every_row_of_the_table_resolves() -> None:
    """A line without its class, or a class without a member, does not stay unseen."""
    members = {"tag", "literal_type", "to_literal", "from_literal", "pack", "unpack", "fits"}
    for annotation in (int, float, str, bool, None, datetime, timedelta, list[int], dict, File):
        assert members <= set(dir(transformer_for(annotation)))
    assert "builtins.int" in TRANSFORMERS
    for target in TRANSFORMERS.values():
        module, _, name = target.partition(":")
        leaf = importlib.import_module(f"entrypoint.types.{module}")
        assert members - {"tag", "literal_type"} <= set(dir(getattr(leaf, name)))


# -- a function's interface -------------------------------------------------------------------


class Pair(NamedTuple):
    left: int
    right: str


def two(x: int, *, y: str = "d") -> tuple[int, str]:
    return x, y


def pair(x: int) -> Pair:
    return Pair(x, "r")


def test_several_outputs_are_numbered_or_named() -> None:
    """tuple gives o0, o1; a NamedTuple gives its fields."""
    assert list(Interface(two).outputs) == ["o0", "o1"]
    assert list(Interface(pair).outputs) == ["left", "right"]
    written = Interface(pair).write(pair(1), NOWHERE)["literals"]
    assert plain(written["right"]) == "r"


@pytest.mark.parametrize(
    ("returned", "problem"),
    [
        ((1,), "outputs: expected a tuple of 2, got a tuple of 1"),
        ([1, "a"], "outputs: expected a tuple of 2, got list"),
        ((1, 2), "outputs.o1: expected str, got int"),
    ],
)
def test_wrong_outputs_are_named(returned: Any, problem: str) -> None:
    """Too few, another kind, or one of them wrong."""
    with pytest.raises(ConversionError) as caught:
        Interface(two).write(returned, NOWHERE)
    assert str(caught.value) == problem


def test_missing_and_unknown_inputs_are_named_together() -> None:
    """With a suggestion for the misspelt one, and all the missing ones."""
    interface = Interface(two)
    assert interface.read({"x": ("text", "5")}) == {"x": 5}
    with pytest.raises(UserError, match="missing inputs: x"):
        interface.read({"y": ("text", "5")})
    with pytest.raises(UserError, match="has no input 'yy'; did you mean y"):
        interface.read({"x": ("json", 5), "yy": ("json", 1)})


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (int, "-3", -3),
        (float, "3", 3.0),
        (float, "NaN", None),
        (bool, "True", True),
        (str, "5", "5"),
        (str, "null", "null"),
        (str | None, "null", None),
        (str | None, "text", "text"),
        (int | None, "5", 5),
        (datetime, "2024-02-29T12:00:00.123456Z", NOON),
        (timedelta, "1h30m", timedelta(minutes=90)),
        (timedelta, "-1.5s", timedelta(seconds=-1.5)),
        (timedelta, "90", timedelta(seconds=90)),
        (list[int], "[1, 2]", [1, 2]),
        (dict[int, str], '{"1": "a"}', {1: "a"}),
    ],
    ids=str,
)
def test_texts_are_read_by_the_annotation(annotation: Any, text: str, value: Any) -> None:
    """What a person types after `name=`."""

    def task(x: Any) -> Any:
        return None

    task.__annotations__ = {"x": annotation, "return": None}
    got = Interface(task).read({"x": ("text", text)})["x"]
    assert got == value if value is not None else got is None or math.isnan(got)


def variadic(*args: int) -> None: ...


def positional(x: int, /) -> None: ...


def forward(x: int) -> None: ...


forward.__annotations__["x"] = "Missing"


def bare(x: int) -> None: ...


bare.__annotations__["return"] = tuple


@pytest.mark.parametrize("function", [variadic, positional, forward, bare, len, 3])
def test_a_function_that_can_be_no_task_is_refused(function: Any) -> None:
    """With a user error that says why."""
    with pytest.raises(UserError) as caught:
        Interface(function)
    assert caught.value.code == "USER:Interface"
