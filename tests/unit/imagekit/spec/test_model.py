# SPDX-License-Identifier: Apache-2.0
"""The value itself: immutable, comparable, cheap."""

import dataclasses
import pickle
import subprocess
import sys
from typing import Any

import pytest

from imagekit.errors import SpecError
from imagekit.spec.frozen import FrozenMap
from imagekit.spec.model import ImageSpec


def test_lists_and_dicts_become_immutable_copies() -> None:
    """What the caller does to its list or dict afterwards changes no spec."""
    packages, env = ["numpy"], {"A": "1"}
    spec = ImageSpec(packages=packages, env=env)
    packages.append("pandas")
    env["B"] = "2"
    assert spec.packages == ("numpy",)
    assert dict(spec.env) == {"A": "1"}
    with pytest.raises(TypeError):
        spec.env["A"] = "2"  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.name = "other"  # type: ignore[misc]


def test_order_of_packages_and_env_is_no_difference() -> None:
    """Specs that differ in order alone are equal and hash the same."""
    one = ImageSpec(packages=["b", "a"], env={"X": "1", "A": "2"})
    other = ImageSpec(packages=["a", "b", "a"], env={"A": "2", "X": "1"})
    assert one == other
    assert hash(one) == hash(other)
    assert len({one, other}) == 1


def test_order_of_indexes_and_entrypoint_is_kept() -> None:
    """Where order has a meaning it stays."""
    assert ImageSpec(entrypoint=["b", "a"]) != ImageSpec(entrypoint=["a", "b"])
    assert ImageSpec(pip_extra_index_url=["b", "a"]).pip_extra_index_url == ("b", "a")


def test_an_empty_entrypoint_is_not_a_missing_one() -> None:
    """`[]` asks for an image without ENTRYPOINT."""
    assert ImageSpec(entrypoint=[]).entrypoint == ()
    assert ImageSpec().entrypoint is None


def test_name_and_registry_are_lower_cased() -> None:
    """Repository names have no capitals."""
    spec = ImageSpec(name="Iris", registry="Registry.Example/Team")
    assert (spec.name, spec.registry) == ("iris", "registry.example/team")


def test_a_spec_survives_pickling() -> None:
    """Notebook tasks carry their spec along."""
    spec = ImageSpec(packages=["a"], env={"A": "1"}, base_image=ImageSpec(name="below"))
    assert pickle.loads(pickle.dumps(spec)) == spec


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("packages", "numpy", "packages: expected a list of texts, found str"),
        ("packages", [1], "packages: expected a list of texts, one of them is int"),
        ("env", ["A=1"], "env: expected a mapping of texts, found list"),
        ("env", {"A": 1}, "env: expected a mapping of texts, 'A' is int"),
        ("compile_bytecode", "yes", "compile_bytecode: expected true or false, found str"),
        ("python_version", 3.11, "python_version: expected text, found float"),
    ],
)
def test_wrong_types_are_named(field: Any, value: Any, message: Any) -> None:
    """A value of the wrong type is refused where the spec is written."""
    with pytest.raises(SpecError) as caught:
        ImageSpec(**{field: value})
    assert [problem.message for problem in caught.value.problems] == [message]


def test_all_wrong_types_come_at_once() -> None:
    """Two wrong values are two problems of one error."""
    with pytest.raises(SpecError) as caught:
        ImageSpec(packages="numpy", env="A=1")  # type: ignore[arg-type]
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("spec", "copies"),
    [
        (ImageSpec(), False),
        (ImageSpec(source_root="."), True),
        (ImageSpec(source_root=".", source_copy_mode="all"), True),
        (ImageSpec(source_root=".", source_copy_mode="no_copy"), False),
    ],
)
def test_a_source_root_is_copied_unless_the_spec_says_no(spec: Any, copies: Any) -> None:
    """Setting source_root is enough to get the code into the image."""
    assert spec.copies_source is copies


def test_a_frozen_map_equals_the_dict_it_came_from() -> None:
    """It reads like any mapping."""
    assert FrozenMap({"b": "2", "a": "1"}) == {"a": "1", "b": "2"}
    assert list(FrozenMap({"b": "2", "a": "1"})) == ["a", "b"]
    assert repr(FrozenMap({"a": "1"})) == "{'a': '1'}"


def test_the_model_imports_nothing_but_the_standard_library() -> None:
    """Task code imports it inside images, where nothing else is."""
    code = (
        "import sys; before = set(sys.modules); import imagekit.spec.model; "
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(ran.stdout.split()) - sys.stdlib_module_names == {"imagekit"}
