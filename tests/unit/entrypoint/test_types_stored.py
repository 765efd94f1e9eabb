# SPDX-License-Identifier: Apache-2.0
"""Types that store something beside the literal, or say more in it than the value."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypedDict, TypeVar

import pytest

from entrypoint.errors import ConversionError, InputsCorruptError, InputsMissingError, UserError
from entrypoint.interface import Interface
from entrypoint.place import Place
from entrypoint.types import read_literal, transformer_for
from entrypoint.types.files import Directory, File
from entrypoint.types.hashes import HashMethod
from entrypoint.types.pickles import Pickle
from entrypoint.wire.plain import plain
from entrypoint.wire.protobuf import decode, encode
from tests.unit.entrypoint.workdir import MAIN, Workdir

NOWHERE = Place(None)


class Model:
    def __init__(self, weight: float) -> None:
        self.weight = weight


@dataclass
class Left:
    size: int


@dataclass
class Right:
    size: int


@dataclass
class Both:
    either: Left | Right
    raw: bytes
    model: Annotated[Any, Pickle]


T = TypeVar("T")


@dataclass
class Pair(Generic[T]):
    first: T
    others: list[T]


class Needs(TypedDict):
    name: str


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(str(tmp_path / "raw"))


def sent(annotation: Any, value: Any, place: Place) -> Any:
    """The literal, as the next task decodes it."""
    literal = transformer_for(annotation).to_literal(value, place)
    return decode("Literal", encode("Literal", literal))


def test_a_unions_file_is_stored_once(place: Place, tmp_path: Path) -> None:
    """Whatever the other variants are, and wherever in the union it stands."""
    (tmp_path / "made").write_text("x")
    literal = sent(str | File | Path, File(tmp_path / "made"), place)
    assert literal["scalar"]["union"]["type"]["structure"]["tag"] == "FlyteFilePath"
    assert len(os.listdir(tmp_path / "raw")) == 1
    assert isinstance(read_literal(transformer_for(str | File | Path), literal), File)


def test_variants_that_look_alike_are_told_apart(place: Place) -> None:
    """Two dataclasses of the same fields have one form on the wire; the literal notes which."""
    union = transformer_for(Left | Right)
    assert read_literal(union, sent(Left | Right, Right(1), place)) == Right(1)
    assert "metadata" not in sent(Left | int, Left(1), place)


@pytest.mark.parametrize(
    ("annotation", "value", "problem"),
    [
        (int | str, 1.5, "expected int | str, got float"),
        (int | None, "x", "expected int, got str 'x'"),
        (Left | int, Right(1), "expected Left | int, got Right"),
    ],
    ids=str,
)
def test_a_value_of_no_variant_is_refused(annotation: Any, value: Any, problem: str) -> None:
    """With what would have been right."""
    with pytest.raises(ConversionError) as caught:
        transformer_for(annotation).to_literal(value, NOWHERE)
    assert str(caught.value) == problem


def test_a_generic_dataclass_takes_its_arguments(place: Place) -> None:
    """Its fields have the types that the annotation gives, and no others."""
    literal = sent(Pair[int], Pair(1, [2]), place)
    assert read_literal(transformer_for(Pair[int]), literal) == Pair(1, [2])
    with pytest.raises(ConversionError, match=r"\.others\[0\]: expected int, got str"):
        sent(Pair[int], Pair(1, ["2"]), place)


def test_links_in_a_directory_are_followed_and_must_lead_somewhere(
    place: Place, tmp_path: Path
) -> None:
    """Whatever the names; one that leads nowhere or in a circle is the task's mistake."""
    folder = tmp_path / "a ?#%20é"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "b?c#d%25é.txt").write_text("1")
    (folder / "link").symlink_to("inner")
    uri = sent(Directory, Directory(folder), place)["scalar"]["blob"]["uri"]
    for name in ("inner", "link"):
        assert (Path(uri) / name / "b?c#d%25é.txt").read_text() == "1"
    for target, problem in (("..", "that holds it"), ("nowhere", "nor a link to one")):
        (folder / "inner" / "bad").symlink_to(target)
        with pytest.raises(ConversionError, match=problem):
            sent(Directory, Directory(folder), place)
        (folder / "inner" / "bad").unlink()


def test_a_typed_dict_names_unknown_and_missing_keys() -> None:
    """As a dataclass does."""
    typed = transformer_for(Needs)
    with pytest.raises(ConversionError, match="Needs has no key 'nam'; did you mean name"):
        typed.unpack({"nam": "x"})
    with pytest.raises(ConversionError, match="Needs lacks name"):
        typed.pack({}, NOWHERE)
    with pytest.raises(ConversionError, match=r"\['name'\]: expected str, got int"):
        typed.pack({"name": 1}, NOWHERE)


def test_a_pickle_comes_back_with_its_digest_verified(place: Place) -> None:
    """What was changed on its way is not unpickled."""
    literal = sent(Annotated[Model, Pickle], Model(0.5), place)
    assert literal["scalar"]["blob"]["metadata"] == {"type": {"format": "PythonPickle"}}
    pickled = transformer_for(Annotated[Model, Pickle])
    assert read_literal(pickled, literal).weight == 0.5
    assert pickled.unpack(plain(literal)).weight == 0.5
    Path(literal["scalar"]["blob"]["uri"]).write_bytes(pickle.dumps(1))
    with pytest.raises(InputsCorruptError, match="is not what its sha256"):
        read_literal(pickled, literal)


def test_a_digest_can_be_demanded(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickle without one is refused then, and no other."""
    literal = sent(Annotated[int, Pickle], 5, place)
    pickled = transformer_for(Annotated[int, Pickle])
    del literal["metadata"]
    assert read_literal(pickled, literal) == 5
    monkeypatch.setenv("IMAGEKIT_REQUIRE_DIGEST", "1")
    with pytest.raises(
        ConversionError, match="has no digest, and IMAGEKIT_REQUIRE_DIGEST demands one"
    ):
        read_literal(pickled, literal)
    assert read_literal(pickled, sent(Annotated[int, Pickle], 5, place)) == 5


@pytest.mark.parametrize("how", ["option", "environment"])
def test_a_digest_is_demanded_of_a_tasks_inputs(workdir: Workdir, how: str) -> None:
    """By the command line or its twin in the environment; the task never starts."""
    workdir.module(
        "mod",
        "from typing import Annotated\nfrom imagekit import Pickle\n"
        "def task(x: Annotated[int, Pickle]) -> int:\n    return x\n",
    )
    (workdir.path / "pickled").write_bytes(pickle.dumps(5))
    blob = {"uri": str(workdir.path / "pickled")}
    inputs = {"literals": {"x": {"scalar": {"blob": blob}}}}
    (workdir.path / "inputs.pb").write_bytes(encode("LiteralMap", inputs))
    environ = {"PYTHONPATH": str(MAIN.parents[1])}
    assert workdir.execute("mod:task", environ=environ).code == 0
    options = ("--require-digest", "1") if how == "option" else ()
    if how == "environment":
        environ["IMAGEKIT_REQUIRE_DIGEST"] = "1"
    result = workdir.execute("mod:task", *options, environ=environ)
    assert result.code == 10
    assert "has no digest" in workdir.error()["message"]


def test_bytes_are_a_pickle_in_which_nothing_runs(place: Place) -> None:
    """Flyte's form, and another pickle in its place is not loaded."""
    literal = sent(bytes, b"raw", place)
    uri = literal["scalar"]["blob"]["uri"]
    assert pickle.loads(Path(uri).read_bytes()) == b"raw"
    Path(uri).write_bytes(pickle.dumps(io.StringIO))
    literal["metadata"] = {}
    with pytest.raises(ConversionError, match=r"bytes alone are expected, not _io\.StringIO"):
        read_literal(transformer_for(bytes), literal)


def test_pickles_and_bytes_inside_a_dataclass(place: Place) -> None:
    """Bytes are packed, pickles stored, and the annotation's wish is kept."""
    value = Both(Left(3), b"\xff", {1, 2})
    record = transformer_for(Both)
    assert read_literal(record, sent(Both, value, place)) == value


def test_what_can_not_be_pickled_is_the_values_fault(place: Place) -> None:
    """And a pickle needs a place."""
    with pytest.raises(ConversionError, match="can't be pickled: TypeError"):
        sent(Annotated[Any, Pickle], (each for each in [1]), place)
    with pytest.raises(ConversionError, match="give an --output-prefix"):
        sent(Annotated[Any, Pickle], 1, NOWHERE)


def test_a_hash_method_gives_the_literals_hash() -> None:
    """Where it is asked for, inside a list too; its failure is a user's."""
    hashed = Annotated[str, HashMethod(lambda value: value.upper())]
    assert sent(hashed, "x", NOWHERE)["hash"] == "X"
    items = sent(list[hashed], ["x", "y"], NOWHERE)["collection"]["literals"]
    assert [item["hash"] for item in items] == ["X", "Y"]
    with pytest.raises(ConversionError, match="its hash method raised AttributeError"):
        sent(Annotated[int, HashMethod(lambda value: value.upper())], 1, NOWHERE)
    with pytest.raises(ConversionError, match="its hash method returned int, not str"):
        sent(Annotated[int, HashMethod(lambda value: value)], 1, NOWHERE)


def test_iterators_are_read_one_by_one_and_written_whole() -> None:
    """A generator's items, with the place of the one that is wrong."""
    literal = sent(Generator[int, None, None], iter([1, 2]), NOWHERE)
    read = read_literal(transformer_for(Iterator[int]), literal)
    assert next(read) == 1
    assert list(read) == [2]
    with pytest.raises(ConversionError) as caught:
        sent(Iterator[int], iter([1, "x"]), NOWHERE)
    assert str(caught.value) == "[1]: expected int, got str 'x'"
    with pytest.raises(ConversionError, match="expected an iterator, got str"):
        sent(Iterator[str], "abc", NOWHERE)


def test_what_a_returned_generator_raises_is_the_users_error() -> None:
    """It is user code that runs late."""

    def items() -> Iterator[int]:
        yield 1
        raise LookupError("no more")

    with pytest.raises(UserError, match="the iterator raised LookupError: no more") as caught:
        sent(Iterator[int], items(), NOWHERE)
    assert caught.value.code == "USER:LookupError"


@pytest.mark.parametrize("annotation", [Path, os.PathLike, os.PathLike[str]])
def test_paths_are_files(annotation: Any, place: Place, tmp_path: Path) -> None:
    """Stored when returned; a Path is at hand before the task starts."""
    made = tmp_path / "made.txt"
    made.write_text("content")
    literal = sent(annotation, made, place)
    assert literal["scalar"]["blob"]["uri"].startswith(f"{tmp_path}/raw/")
    path = read_literal(transformer_for(annotation), literal)
    assert Path(path).read_text() == "content"
    if annotation is Path:
        assert isinstance(path, Path)
        with pytest.raises(InputsMissingError, match="gone does not exist"):
            transformer_for(Path).unpack(str(tmp_path / "gone"))


def large() -> list[str]:
    return ["x" * 1000] * 1200


def test_large_outputs_are_stored_apart_where_flyte_asks(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By size, with a hash; and read as if they were not."""
    monkeypatch.setenv("_F_L_MIN_SIZE_MB", "1")
    literal = Interface(large).write(large(), place)["literals"]["o0"]
    literal = decode("Literal", encode("Literal", literal))
    reference = literal["offloaded_metadata"]
    assert reference["size_bytes"] > 1 << 20
    assert reference["inferred_type"] == {"collection_type": {"simple": 3}}
    assert len(literal["hash"]) == 44
    assert read_literal(transformer_for(list[str]), literal) == large()
    assert "collection" in Interface(large).write(["x"], place)["literals"]["o0"]
    monkeypatch.setenv("_F_L_MAX_SIZE_MB", "1")
    with pytest.raises(ConversionError, match=r"outputs.o0: is \d+ bytes long; _F_L_MAX_SIZE_MB"):
        Interface(large).write(large(), place)
    monkeypatch.setenv("_F_L_MIN_SIZE_MB", "ten")
    with pytest.raises(ConversionError, match="_F_L_MIN_SIZE_MB is 'ten', which is no number"):
        Interface(large).write(large(), place)


def test_a_missing_or_damaged_offloaded_literal_is_the_systems_fault(tmp_path: Path) -> None:
    """Nothing that the user's code could have done."""
    uri = tmp_path / "literal.pb"
    reference = {"offloaded_metadata": {"uri": str(uri)}}
    with pytest.raises(InputsMissingError, match=r"literal.pb: No such file"):
        read_literal(transformer_for(int), reference)
    for damaged in (b"\xff", encode("Literal", reference)):
        uri.write_bytes(damaged)
        with pytest.raises(InputsCorruptError, match=r"literal.pb"):
            read_literal(transformer_for(int), reference)
