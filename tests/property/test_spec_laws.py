# SPDX-License-Identifier: Apache-2.0
"""Laws of specs that hold for all of them."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.errors import SpecError
from imagekit.spec.digest import spec_digest
from imagekit.spec.fields import FIELDS
from imagekit.spec.frozen import FrozenMap
from imagekit.spec.load import parse_spec
from imagekit.spec.model import ImageSpec
from imagekit.spec.plain import plain
from imagekit.spec.requirement import UnusableRequirementError
from imagekit.spec.source import canonical

FOLDER = Path("/nonexistent")
NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
PACKAGES = st.lists(
    st.builds(
        "{}{}".format, NAMES.map("pkg-{}".format), st.sampled_from(["", ">=1", "==1.2", "<3,!=2"])
    ),
    max_size=5,
)
VALUES = st.text(
    st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=0, max_size=12
)
VARIABLES = st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,6}", fullmatch=True), VALUES)
SPECS = st.builds(
    ImageSpec,
    name=NAMES,
    registry=st.none() | st.just("registry.example:5000/team"),
    python_version=st.none() | st.sampled_from(["3.10", "3.11", "3.13"]),
    platform=st.sampled_from(["linux/amd64", "linux/arm64"]),
    packages=PACKAGES,
    env=VARIABLES,
    labels=st.dictionaries(NAMES, VALUES, max_size=3),
    entrypoint=st.none() | st.lists(VALUES.filter(bool), max_size=3),
    workdir=st.none() | st.just("/app"),
    user=st.none() | st.sampled_from(["1000", "task:0"]),
    compile_bytecode=st.booleans(),
)


def _dump(spec: ImageSpec) -> str:
    """The spec as YAML that says no more than it must."""
    document = {}
    for name, field in FIELDS.items():
        value = getattr(spec, name)
        if value != field.default:
            plain = dict(value) if isinstance(value, FrozenMap) else value
            document[name] = list(plain) if isinstance(plain, tuple) else plain
    return yaml.safe_dump(document or {"name": spec.name}, allow_unicode=True)


@given(spec=SPECS)
def test_a_spec_written_as_yaml_is_the_spec_again(spec: Any) -> None:
    """Whatever a spec says can be said in a file."""
    assert parse_spec(_dump(spec), source="spec.yaml", folder=FOLDER) == spec


@given(data=st.data(), spec=SPECS)
def test_order_changes_neither_spec_nor_digest(data: Any, spec: Any) -> None:
    """Packages and variables are sets to us."""
    packages = data.draw(st.permutations(spec.packages))
    env = dict(data.draw(st.permutations(list(spec.env.items()))))
    other = ImageSpec(
        packages=packages, env=env, python_version=spec.python_version, platform=spec.platform
    )
    same = ImageSpec(
        packages=spec.packages,
        env=spec.env,
        python_version=spec.python_version,
        platform=spec.platform,
    )
    assert (other, hash(other)) == (same, hash(same))
    assert spec_digest(other, FOLDER) == spec_digest(same, FOLDER)


@given(spec=SPECS, other=PACKAGES)
def test_the_digest_follows_the_packages(spec: Any, other: Any) -> None:
    """Other packages are another digest; another name or environment is not."""
    changed = ImageSpec(
        name="other",
        env={"OTHER": "1"},
        packages=other,
        python_version=spec.python_version,
        platform=spec.platform,
    )
    same = {*spec.packages} == {*other}
    assert (spec_digest(changed, FOLDER) == spec_digest(spec, FOLDER)) is same


@settings(max_examples=300)
@given(text=st.text(max_size=60) | st.from_regex(r"([a-z_]{1,8}:( [\[\]{}a-z&*!|>'\"-]*)?\n){1,4}"))
def test_any_text_is_a_spec_or_a_clear_error(text: Any) -> None:
    """No file makes the loader fail in any other way."""
    try:
        parse_spec(text, source="spec.yaml", folder=FOLDER)
    except SpecError as error:
        assert error.problems  # noqa: PT017 - either outcome is right


@given(
    text=st.from_regex(
        r" ?[A-Za-z0-9._-]{1,6} ?((==|>=|<=|!=|<|>|~=|===) ?[0-9.]{1,4})?", fullmatch=True
    )
)
def test_requirements_without_a_parser_come_out_as_with_it(text: str) -> None:
    """What `plain` takes, `packaging` takes too, and writes the same."""
    assert plain(text) in (None, _canonical(text))


def _canonical(text: str) -> str:
    try:
        return canonical(text)
    except UnusableRequirementError:
        return "refused"


@pytest.mark.parametrize("text", ["numpy", "scikit_learn", " Torch == 2.9.1", "ray>=2"])
def test_common_requirements_need_no_parser(text: str) -> None:
    """Bare names, and names with one bound."""
    assert plain(text) == canonical(text)
