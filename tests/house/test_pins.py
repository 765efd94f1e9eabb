# SPDX-License-Identifier: Apache-2.0
"""Pins agree with what they pin: requirements with pyproject.toml, actions with their commits."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.project import ROOT, files, relative

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PINNED_ACTION = re.compile(r"uses: [\w-]+/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
OWN = ("uses: ./.github/workflows/", "uses: $/actions/")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ASKED: dict[str, tuple[list[str], ...]] = {
    "run": (PROJECT["project"]["dependencies"], PROJECT["dependency-groups"]["build"]),
    "dev": (PROJECT["dependency-groups"]["dev"],),
}


def pins(name: str) -> list[Requirement]:
    """The lines of a requirements file; hashes are checked on the way."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", " ")
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        requirement, *hashes = line.split(" --hash=sha256:")
        assert hashes, f"{line} has no hash"
        assert all(re.fullmatch("[0-9a-f]{64}", each.strip()) for each in hashes), line
        found.append(Requirement(requirement))
    return found


@pytest.mark.parametrize("name", ASKED)
def test_direct_dependencies_are_pinned_as_asked(name: str) -> None:
    """By one exact version each, with hashes, that pyproject.toml allows."""
    pinned = pins(name)
    for asked in (Requirement(text) for group in ASKED[name] for text in group):
        matching = [pin for pin in pinned if same_name(pin, asked)]
        assert matching, f"{asked} is not pinned: make requirements"
        for pin in matching:
            (exact,) = pin.specifier
            assert exact.operator == "=="
            assert asked.specifier.contains(exact.version), f"{pin} is not {asked}"


def test_both_files_pin_the_same_versions() -> None:
    """The second is installed over the first."""
    run, dev = ({(pin.name, str(pin.specifier)) for pin in pins(name)} for name in ("run", "dev"))
    shared = {name for name, _ in run} & {name for name, _ in dev}
    assert {pin for pin in run if pin[0] in shared} == {pin for pin in dev if pin[0] in shared}


def same_name(one: Requirement, other: Requirement) -> bool:
    return canonicalize_name(one.name) == canonicalize_name(other.name)


def workflows() -> dict[str, Any]:
    found = {relative(path): yaml.safe_load(path.read_text()) for path in files(".yml", ".github")}
    assert found
    return found


def steps() -> dict[str, list[dict[str, Any]]]:
    """Those of workflows, and of the actions that others use."""
    found = {
        f"{path}: {name}": job.get("steps", [])
        for path, workflow in workflows().items()
        for name, job in workflow["jobs"].items()
    }
    for path in files(".yml", "actions"):
        found[relative(path)] = yaml.safe_load(path.read_text())["runs"]["steps"]
    return found


def test_actions_are_pinned_by_commit() -> None:
    """With the version that the commit is, for the reader."""
    loose = [
        f"{relative(path)}: {line.strip()}"
        for path in [*files(".yml", ".github"), *files(".yml", "actions")]
        for line in path.read_text().splitlines()
        if "uses:" in line and not PINNED_ACTION.search(line)
        if not line.strip("- ").startswith(OWN)
    ]
    assert loose == []


def test_workflows_may_read_and_nothing_else() -> None:
    """Nothing by default, and each job says what it needs; publishing needs its identity alone.

    What opens pull requests runs nothing but that.
    """
    images = {"contents": "read", "packages": "write"}
    more = {
        ".github/workflows/release.yml: publish": {"id-token": "write"},
        ".github/workflows/images.yml: images": images,
        ".github/workflows/build-images.yml: matrix": {"contents": "read", "packages": "read"},
        ".github/workflows/build-images.yml: image": images,
        ".github/workflows/build-images.yml: later": images,
        ".github/workflows/build-images.yml: index": images,
        ".github/workflows/refresh-images.yml: refresh": {"contents": "read", "packages": "read"},
        ".github/workflows/refresh-images.yml: proposal": {
            "contents": "write",
            "pull-requests": "write",
        },
    }
    for path, workflow in workflows().items():
        assert workflow["permissions"] == {}, path
        for name, job in workflow["jobs"].items():
            wanted = more.get(f"{path}: {name}", {"contents": "read"})
            assert job["permissions"] == wanted, f"{path}: {name}"


def test_workflows_run_what_anybody_can_run() -> None:
    """Targets of the Makefile alone."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    inside = '--silent -C "$GITHUB_ACTION_PATH/../.."'
    for where, found in steps().items():
        for step in found:
            program, *words = step.get("run", "make help").replace(inside, "").split()
            asked = {word for word in words if "=" not in word}
            assert program == "make", f"{where}: {step}"
            assert asked, f"{where}: {step}"
            assert asked <= {*targets, '"$TARGET"'}, f"{where}: {step}"


def test_the_oldest_supported_python_is_tested() -> None:
    """And the matrix has no gaps."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    versions = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    minors = [int(version.removeprefix("3.")) for version in versions]
    assert PROJECT["project"]["requires-python"] == f">={versions[0]}"
    assert minors == list(range(minors[0], minors[0] + len(minors)))
