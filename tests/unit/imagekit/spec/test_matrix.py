# SPDX-License-Identifier: Apache-2.0
"""One document, many images."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
import yaml

from imagekit.errors import Problem, SpecError
from imagekit.lock.file import lock_path, own_files
from imagekit.spec import nodes
from imagekit.spec.load import check_spec, load_spec, load_specs
from imagekit.spec.matrix import cells
from imagekit.spec.model import ImageSpec


def read(text: str) -> tuple[dict[str, object], list[Problem]]:
    """Each cell as plain data, by its name; and what is wrong."""
    problems: list[Problem] = []
    found = cells(nodes.parse(textwrap.dedent(text)), problems)
    construct = yaml.SafeLoader("").construct_document
    return {cell.name: construct(cell.root) for cell in found}, problems


def test_without_a_matrix_a_document_is_one_image() -> None:
    """And stays as it was written."""
    assert ({"": {"name": "a", "packages": ["b"]}}, []) == read("{name: a, packages: [b]}")


def test_every_combination_is_an_image() -> None:
    """In the order of the axes, each named by its values."""
    found, problems = read("""\
        name: team/train
        matrix:
          python_version: ["3.11", "3.13"]
          base_image: [debian, oci:cuda]
        """)
    assert [] == problems
    assert ["3.11-debian", "3.11-oci_cuda", "3.13-debian", "3.13-oci_cuda"] == list(found)
    wanted = {"name": "team/train", "python_version": "3.13", "base_image": "oci:cuda"}
    assert wanted == found["3.13-oci_cuda"]


def test_values_are_added_to_lists_and_mappings_and_replace_all_else() -> None:
    """So what the images share stands once."""
    found, problems = read("""\
        packages: [pandas]
        env: {A: "1", B: "2"}
        user: "1000"
        matrix:
          packages: [torch, [jax, flax]]
          env: [{B: "3"}]
          user: ["2000"]
        """)
    assert [] == problems
    assert {
        "packages": ["pandas", "jax", "flax"],
        "env": {"A": "1", "B": "3"},
        "user": "2000",
    } == found["jax+flax-B_3-2000"]
    assert ["pandas", "torch"] == found["torch-B_3-2000"]["packages"]  # type: ignore[index]


def test_exclude_leaves_out_and_include_adds() -> None:
    """An entry of `exclude` takes all cells that have its values; `include` adds whole cells."""
    found, problems = read("""\
        matrix:
          python_version: ["3.11", "3.13"]
          plugins: [duckdb, [pandera, dask]]
          exclude:
            - {python_version: "3.13", plugins: [pandera, dask]}
            - {plugins: duckdb, python_version: "3.11"}
          include:
            - {python_version: "3.12"}
        """)
    assert [] == problems
    assert ["3.11-pandera+dask", "3.13-duckdb", "3.12"] == list(found)
    assert {"python_version": "3.12"} == found["3.12"]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("matrix: [a]", 1, "expected `field: [values]`, found a list"),
        ("matrix:\n  python_version: '3.11'", 2, "matrix.python_version: expected a list"),
        ("matrix:\n  user: []", 2, "matrix.user: expected a list"),
        ("matrix:\n  python: ['3.11']", 2, "'python' is not a field of a spec"),
        ("matrix:\n  matrix: [a]", 2, "'matrix' is not a field of a spec"),
        ("matrix:\n  user: [a]\n  include: [b]", 3, "expected `field: value`, found the text 'b'"),
        ("matrix:\n  user: [a]\n  exclude:\n  - {name: b}", 4, "'name' is not an axis"),
        ("matrix:\n  user: [a, a]", 1, "two images would both be called 'a'"),
        ("matrix:\n  user: [a]\n  exclude: [{user: a}]", 1, "no image is left"),
        ("matrix:\n  packages: [[[a]]]", 2, "nests too deeply"),
        (f"matrix:\n  user: {list(range(40))}\n  name: {list(range(40))}", 2, "1600 images"),
    ],
)
def test_mistakes_are_told_with_their_line(text: str, line: int, message: str) -> None:
    """Each with what was expected."""
    _, problems = read(text)
    assert [line] == [problem.line for problem in problems]
    assert message in problems[0].message


def test_a_matrix_of_aliases_does_not_blow_up() -> None:
    """What nests through aliases is refused where it nests, not expanded."""
    levels = [f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 10)}]" for at in range(1, 12)]
    text = "\n".join(["a0: &a0 [x, x]", *levels, "matrix: {user: [*a11]}"])
    _, problems = read(text)
    assert ["matrix: this value nests too deeply"] == [problem.message for problem in problems][:1]


MATRIX = """\
name: team/train
packages: [pandas]
matrix:
  python_version: ["3.11", "3.13"]
  packages: [duckdb, [dask, "duckdb<2"]]
"""


def test_an_image_of_a_file_has_an_address(tmp_path: Path) -> None:
    """`FILE:NAME`, which is read wherever a path is."""
    path = tmp_path / "spec.yaml"
    path.write_text(MATRIX)

    specs = load_specs(path)

    names = ["3.11-duckdb", "3.11-dask+duckdb_2", "3.13-duckdb", "3.13-dask+duckdb_2"]
    assert [tmp_path / f"spec.yaml:{name}" for name in names] == list(specs)
    address = tmp_path / "spec.yaml:3.13-duckdb"
    assert load_spec(address) == specs[address] == load_specs(address)[address]
    wanted = ImageSpec(name="team/train", python_version="3.13", packages=["duckdb", "pandas"])
    assert wanted == specs[address]


def test_an_address_that_names_no_image_is_told_which_there_are(tmp_path: Path) -> None:
    """And so is a whole file where one image is wanted."""
    path = tmp_path / "spec.yaml"
    path.write_text("matrix: {user: [a, b]}\n")
    for address, message in (("spec.yaml:c", "says no image 'c'"), ("spec.yaml", "says several")):
        with pytest.raises(SpecError, match=message) as caught:
            load_spec(tmp_path / address)
        assert f"{path}:a, {path}:b" in str(caught.value)


def test_a_mistake_of_one_image_is_found_in_its_line(tmp_path: Path) -> None:
    """Once, though it stands in several images."""
    path = tmp_path / "spec.yaml"
    path.write_text("user: a\nmatrix:\n  python_version: ['3.11', 'three']\n  workdir: [/a, /b]\n")
    with pytest.raises(SpecError) as caught:
        load_specs(path)
    assert [3] == [problem.line for problem in caught.value.problems]


def test_images_of_a_file_have_locks_of_their_own(tmp_path: Path) -> None:
    """None of them is a source of an image, and no other file's lock is one of theirs."""
    address = tmp_path / "spec.yaml:3.13-dask+duckdb"
    assert tmp_path / "pylock.spec--3-13-dask-duckdb.toml" == lock_path(address)
    assert tmp_path / "pylock.train--a.toml" == lock_path(tmp_path / "train.yaml:a")
    for name in ("pylock.toml", "pylock.train.toml", "other.toml"):
        (tmp_path / name).touch()
    left_out = {path.name for path in own_files(address)}
    assert {"spec.yaml", "pylock.toml", "pylock.train.toml"} == left_out


def test_a_spec_in_python_has_no_matrix(tmp_path: Path) -> None:
    """There a loop says the same."""
    with pytest.raises(SpecError, match="one ImageSpec per image"):
        check_spec(ImageSpec(matrix={"user": ["a"]}), tmp_path)
