# SPDX-License-Identifier: Apache-2.0
"""`imagekit matrix` over a git history of edits, and the finding of specs."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from imagekit.cli.main import program
from imagekit.errors import SpecError
from imagekit.fleet.find import find_specs
from tests.unit.imagekit.fleet.fleet_project import Fleet

CELLS = """\
name: team/train
source_root: src
matrix:
  user: ["1000", "2000"]
  workdir: [/a, /b]
"""


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    made = Fleet(tmp_path, monkeypatch)
    made.write("train", CELLS, made.project.wheel("alpha"))
    made.write("serve", "name: team/serve\nsource_root: src\n", made.project.wheel("beta"))
    made.commit("begin")
    return made


def matrix(*words: str) -> dict[str, str]:
    """What has to be built: reasons by spec."""
    result = CliRunner().invoke(program, ["matrix", *words])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert len(lines) == 1
    return {row["spec"]: row["why"] for row in json.loads(lines[0])["include"]}


def test_nothing_changed_is_an_empty_matrix(fleet: Fleet) -> None:
    """In the form that a workflow can test for."""
    result = CliRunner().invoke(program, ["matrix", ".", "--since", "HEAD"])
    assert '{"include": []}\n' == result.stdout


def test_comments_and_spelling_build_nothing(fleet: Fleet) -> None:
    """Nor does a README, in or beside a spec's folder."""
    path = fleet.root / "serve" / "spec.yaml"
    path.write_text(
        "# a comment\n" + path.read_text().replace("source_root: src", "source_root: ./src")
    )
    (fleet.root / "README.md").write_text("new")
    (fleet.root / "serve" / "README.md").write_text("new")
    assert {} == matrix(".", "--since", "HEAD")


def test_a_source_file_builds_the_images_that_hold_it(fleet: Fleet) -> None:
    """All cells of its spec, and no other spec."""
    (fleet.root / "train" / "src" / "task.py").write_text("changed")
    found = matrix(".", "--since", "HEAD")
    assert [f"train/spec.yaml:{user}-{place}" for user in (1000, 2000) for place in "ab"] == list(
        found
    )
    assert {"what is in it has changed since HEAD"} == set(found.values())


def test_one_lock_builds_one_cell(fleet: Fleet) -> None:
    """A package that another cell does not have leaves that one alone."""
    fleet.lock(Path("train/spec.yaml:1000-a"), [fleet.project.wheel("alpha", "2.0")])
    assert ["train/spec.yaml:1000-a"] == list(matrix(".", "--since", "HEAD"))
    fleet.commit("newer alpha")
    assert {} == matrix(".", "--since", "HEAD")
    assert ["train/spec.yaml:1000-a"] == list(matrix(".", "--since", "HEAD~1"))


def test_a_cell_added_is_the_one_that_is_built(fleet: Fleet) -> None:
    """With the reason that it was not there before."""
    path = fleet.write("train", CELLS.replace('"2000"]', '"2000", "3000"]'))
    fleet.lock(path, [fleet.project.wheel("alpha")])
    found = matrix("train", "--since", "HEAD")
    assert ["train/spec.yaml:3000-a", "train/spec.yaml:3000-b"] == list(found)
    assert "there was no such spec, or no lock of it, at HEAD" in found.values()


def test_what_has_no_lock_or_a_stale_one_is_built_with_that_reason(fleet: Fleet) -> None:
    """Nobody can say what would be in it."""
    (fleet.root / "serve" / "pylock.toml").unlink()
    assert {"serve/spec.yaml": "there is no serve/pylock.toml"} == matrix(".", "--since", "HEAD")
    fleet.write("serve", "name: team/serve\n")
    path = fleet.root / "serve" / "spec.yaml"
    path.write_text(path.read_text() + "packages: [gamma]\n")
    assert "does not belong to" in matrix("serve", "--since", "HEAD")["serve/spec.yaml"]


def test_without_a_registry_nobody_can_say_that_an_image_exists(fleet: Fleet) -> None:
    """Unknown is built."""
    assert {"serve/spec.yaml": "its spec names no registry that could have it"} == matrix("serve")


def test_the_working_tree_and_the_index_are_left_as_they_are(fleet: Fleet) -> None:
    """An earlier revision is read without checking it out."""
    path = fleet.root / "serve" / "spec.yaml"
    path.write_text(path.read_text() + "# edited\n")
    before = {p: p.stat().st_mtime_ns for p in fleet.root.rglob("*") if "cache" not in p.parts}
    matrix(".", "--since", "HEAD")
    assert before == {
        p: p.stat().st_mtime_ns for p in fleet.root.rglob("*") if "cache" not in p.parts
    }
    assert [] == list((fleet.root / "cache" / "imagekit" / "revisions").iterdir())


@pytest.mark.parametrize("revision", ["nothing", "--help"])
def test_a_revision_that_is_none_is_one_error(fleet: Fleet, revision: str) -> None:
    """And no option of git's."""
    result = CliRunner().invoke(program, ["matrix", ".", f"--since={revision}"])
    assert result.exit_code == 1
    assert "Needed a single revision" in str(result.exception)


def test_more_detail_and_a_table_for_people(fleet: Fleet) -> None:
    """JSON has lists; the table has what is kept, too."""
    (fleet.root / "serve" / "src" / "task.py").write_text("changed")
    words = ["matrix", ".", "--since", "HEAD", "--output"]
    detail = json.loads(CliRunner().invoke(program, [*words, "json"]).stdout)
    (row,) = detail["include"]
    assert ("team/serve", 20, "") == (row["name"], len(row["tag"]), row["digest"])
    assert ["linux/amd64"] == row["platforms"] or ["linux/arm64"] == row["platforms"]
    lines = CliRunner().invoke(program, [*words, "text"]).stdout.splitlines()
    assert lines[0].startswith("build serve/spec.yaml  team/serve:")
    assert "      what is in it has changed since HEAD" == lines[1]
    assert 4 == sum(line.startswith("keep  train/") for line in lines)


def test_specs_are_found_in_files_folders_and_patterns(fleet: Fleet) -> None:
    """Hidden folders and environments are not looked into."""
    for place in (".venv", "node_modules/a", "deep/er"):
        fleet.write(place, "name: x\n")
    (fleet.root / "deep" / "gpu.spec.yaml").write_text("name: gpu\n")
    (fleet.root / "deep" / "pod.yaml").write_text("kind: Pod\n")
    found = [str(path) for path in find_specs(["deep", "t*/spec.yaml", "train/spec.yaml:1000-a"])]
    assert ["deep/er/spec.yaml", "deep/gpu.spec.yaml"] == found[:2]
    assert 6 == len(found)


def test_every_problem_of_every_spec_is_told_at_once(fleet: Fleet) -> None:
    """With file and line; so is a place without any spec."""
    (fleet.root / "serve" / "spec.yaml").write_text("nam: x\nuser: [a]\n")
    (fleet.root / "empty").mkdir()
    with pytest.raises(SpecError) as caught:
        find_specs(["serve", "train", "empty", "no*"])
    text = str(caught.value)
    assert 4 == len(caught.value.problems)
    for part in (
        "serve/spec.yaml:1: unknown key",
        "serve/spec.yaml:2:",
        "empty: no spec",
        "no*: no",
    ):
        assert part in text


def test_stages_are_asked_for_by_number(fleet: Fleet) -> None:
    """A workflow builds what stands on nothing first; what stands on that, at any depth, after."""
    below = ""
    for name in "abc":
        (fleet.root / name).mkdir()
        (fleet.root / name / "spec.yaml").write_text(f"name: {name}\n{below}")
        below = f"base_image: ../{name}/spec.yaml\n"
    found = {}
    for stage in ("0", "1", "1+", "3+"):
        result = CliRunner().invoke(program, ["matrix", "a", "b", "c", "--stage", stage])
        found[stage] = [row["name"] for row in json.loads(result.stdout)["include"]]

    assert {"0": ["a"], "1": ["b"], "1+": ["b", "c"], "3+": []} == found
    wrong = CliRunner().invoke(program, ["matrix", "a", "--stage", "first"], standalone_mode=False)
    assert isinstance(wrong.exception, click.BadParameter)


def test_a_spec_in_python_has_a_row(fleet: Fleet) -> None:
    """Named as it is on the command line, beside those of its folder in YAML."""
    (fleet.root / "m").mkdir()
    (fleet.root / "m" / "images.py").write_text(
        "from imagekit import ImageSpec\nimage = ImageSpec(name='module')\n"
    )
    (fleet.root / "m" / "spec.yaml").write_text("name: beside\n")
    result = CliRunner().invoke(program, ["matrix", "m", "m/images.py:image"])

    rows = json.loads(result.stdout)["include"]
    assert [("beside", "m/spec.yaml"), ("module", "m/images.py:image")] == [
        (row["name"], row["spec"]) for row in rows
    ]
