# SPDX-License-Identifier: Apache-2.0
"""Good specs are read as they were meant; the bad ones are in test_bad_specs."""

import json
from pathlib import Path
from typing import Any

import pytest

from imagekit.errors import SpecError
from imagekit.spec.digest import spec_digest
from imagekit.spec.fields import FIELDS
from imagekit.spec.load import check_spec, load_spec, parse_spec
from imagekit.spec.model import ImageSpec
from imagekit.spec.reference import markdown
from imagekit.spec.schema import dumps, schema

ROOT = Path(__file__).parents[4]


def _parse(text: str, folder: Path) -> ImageSpec:
    return parse_spec(text, source="spec.yaml", folder=folder)


def test_a_full_spec_is_read_field_by_field(tmp_path: Path) -> None:
    """Everything that works can stand in one file."""
    (tmp_path / "src").mkdir()
    (tmp_path / "data.csv").touch()
    (tmp_path / "requirements.txt").touch()
    text = """
name: Team/Iris
registry: Registry.example:5000/group
python_version: 3.11
base_image: debian
platform: linux/arm64
packages: [pandas, numpy>=1]
requirements: requirements.txt
pip_index: https://index.example/simple
pip_extra_index_url: [https://more.example/simple]
env: {PORT: 8080, DEBUG: true, VERSION: 1.10}
source_root: src
source_copy_mode: all
copy: [data.csv]
entrypoint: [python, -m, server]
user: 1000:0
workdir: /app
labels: {org.example.team: a b}
compile_bytecode: false
builder: native
builder_options: {debian_mirror: https://deb.example/debian}
"""
    spec = _parse(text, tmp_path)
    assert spec == ImageSpec(
        name="team/iris",
        registry="registry.example:5000/group",
        python_version="3.11",
        base_image="debian",
        platform="linux/arm64",
        packages=["numpy>=1", "pandas"],
        requirements="requirements.txt",
        pip_index="https://index.example/simple",
        pip_extra_index_url=["https://more.example/simple"],
        env={"PORT": "8080", "DEBUG": "true", "VERSION": "1.10"},
        source_root="src",
        source_copy_mode="all",
        copy=["data.csv"],
        entrypoint=["python", "-m", "server"],
        user="1000:0",
        workdir="/app",
        labels={"org.example.team": "a b"},
        compile_bytecode=False,
        builder="native",
        builder_options={"debian_mirror": "https://deb.example/debian"},
    )


def test_python_version_is_the_text_that_stands_there(tmp_path: Path) -> None:
    """3.10 without quotes is not the number 3.1."""
    assert _parse("python_version: 3.10\n", tmp_path).python_version == "3.10"


def test_an_empty_value_is_a_field_left_out(tmp_path: Path) -> None:
    """A list whose items were all commented out is no error."""
    assert _parse("packages:\n  # - numpy\nenv: ~\n", tmp_path) == ImageSpec()


def test_anchors_are_followed(tmp_path: Path) -> None:
    """An alias is the value that it names."""
    assert _parse("packages: [&p numpy, *p]\n", tmp_path).packages == ("numpy",)


def test_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    """Some editors write one."""
    (tmp_path / "spec.yaml").write_bytes(b"\xef\xbb\xbfname: x\n")
    assert load_spec(tmp_path / "spec.yaml").name == "x"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name: x\nregistry: \xff\n", ":2: is not UTF-8 text"),
        (b"[" * 100_000, "it nests too deeply"),
        (b"#" * 1_000_001, "longer than 1000000 characters"),
        (None, "can't be read: No such file or directory"),
    ],
)
def test_what_is_no_spec_at_all_is_refused(tmp_path: Path, content: Any, message: Any) -> None:
    """Files that can't be meant as specs end in a clear error too."""
    path = tmp_path / "spec.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SpecError, match=message):
        load_spec(path)


def test_a_spec_in_python_is_held_to_the_same_rules(tmp_path: Path) -> None:
    """The model takes any text; checking it finds what the loader would."""
    check_spec(ImageSpec(packages=["numpy"]), tmp_path)
    with pytest.raises(SpecError) as caught:
        check_spec(
            ImageSpec(
                packages=["-e ."],
                base_image=ImageSpec(user="?"),
                copy=["gone"],
                apt_packages=["git:arm64"],
                matrix={"a": 1},
            ),
            tmp_path,
        )
    assert str(caught.value).splitlines() == [
        "ImageSpec: base_image: user '?' is no user (write USER or USER:GROUP, names or numbers)",
        "ImageSpec: '-e .' is an option, not a requirement (options belong in a requirements.txt)",
        "ImageSpec: apt_packages: 'git:arm64' names an architecture (write git: the platform says)",
        "ImageSpec: matrix: only a YAML file says several images (make one ImageSpec per image)",
        "ImageSpec: copy: there is no 'gone'",
    ]


@pytest.mark.parametrize("field", [f.name for f in FIELDS.values() if not f.works])
def test_each_field_that_does_not_work_is_refused_by_name(field: Any, tmp_path: Path) -> None:
    """Nothing is accepted and ignored."""
    with pytest.raises(SpecError, match=rf"spec.yaml:2: {field} is not supported yet"):
        _parse(f"name: x\n{field}: [a]\n", tmp_path)


def test_every_field_of_the_model_says_what_it_means() -> None:
    """The table has a text for everything that works."""
    assert [field.name for field in FIELDS.values() if field.works and not field.doc] == []


def test_the_published_schema_is_the_one_of_the_table() -> None:
    """`python -m imagekit.spec.schema` was run after the last change."""
    assert (ROOT / "imagekit/spec/schema.json").read_text() == dumps()


def test_the_schema_knows_what_works_and_nothing_else() -> None:
    """An editor marks fields that would be refused."""
    document = json.loads(dumps())
    assert set(document["properties"]) == {f.name for f in FIELDS.values() if f.works}
    assert document == schema()
    assert document["additionalProperties"] is False


def test_the_reference_is_the_one_of_the_table() -> None:
    """`python -m imagekit.spec.reference` was run after the last change."""
    page = (ROOT / "docs/reference/spec.md").read_text()
    begin = "<!-- made by `python -m imagekit.spec.reference` -->\n"
    assert page.split(begin)[1].split("<!-- end -->")[0] == markdown()


def test_the_environment_says_where_specs_without_a_registry_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their locks and tags stay what they are: a registry is not in an image."""
    before = _parse("name: a\n", tmp_path)
    monkeypatch.setenv("IMAGEKIT_REGISTRY", "registry.example/team")
    after = _parse("name: a\n", tmp_path)
    assert (before.registry, after.registry) == (None, "registry.example/team")
    assert spec_digest(after, tmp_path) == spec_digest(before, tmp_path)
    assert _parse("name: a\nregistry: own.example\n", tmp_path).registry == "own.example"


def test_versions_that_can_hold_together_are_no_contradiction(tmp_path: Path) -> None:
    """By markers, by what they allow, or as the same version in two spellings."""
    check_spec(
        ImageSpec(
            packages=[
                "a==1; python_version < '3.12'",
                "a==2; python_version >= '3.12'",
                "b==1.*",
                "b==1.2",
                "C_d==2.0",
                "c-d==2",
                "c-d[more]==2.0.0",
                "c.d>=1",
            ],
            apt_packages=["git", "git=1:2.39"],
        ),
        tmp_path,
    )
