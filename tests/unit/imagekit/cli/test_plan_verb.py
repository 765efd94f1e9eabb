# SPDX-License-Identifier: Apache-2.0
"""`imagekit plan` as users see it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from imagekit.cli.main import main
from imagekit.lock import file as lock_file
from imagekit.spec.digest import spec_digest
from imagekit.spec.load import load_spec
from tests.unit.imagekit.builders.project import PLATFORM, Project
from tests.unit.imagekit.receipts.program import run

OURS_AT_MOST = 110
"""Modules of imagekit that a plan loads; it was 106 when this was written."""

OURS = ("imagekit.registry", "imagekit.engines", "imagekit.oci.unpack", "imagekit.lock.refresh")
UNNEEDED = {"csv", "difflib", "http.client", "logging", "netrc", "random", "shlex", "subprocess"}
"""Of the standard library, what takes its milliseconds and a plan does without."""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spec with its lock, on a base in a layout."""
    project = Project(tmp_path, monkeypatch)
    text = f"name: thing\nbase_image: oci:base\nplatform: {PLATFORM}\nsource_root: src\n"
    project.path.write_text(text + "compile_bytecode: false\nobject_storage: false\n")
    (lock,) = project.locks({PLATFORM: [project.wheel("alpha")]})
    digest = spec_digest(load_spec(project.path), tmp_path)
    lock_file.write(tmp_path / "pylock.toml", [replace(lock, spec_digest=digest)])
    return project.path


def test_a_plan_is_told_layer_by_layer(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the build what is unknown, after it the digest, which is the build's."""
    assert main(["plan", str(spec)]) == 0
    text = capsys.readouterr().out
    assert "built           alpha==1.0" in text
    assert "digest  unknown until these are built: alpha==1.0, runtime" in text
    assert main(["build", str(spec)]) == 0
    built = capsys.readouterr().out.strip()
    assert main(["plan", str(spec), "--output", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert f"thing@{data['digest']}" == built
    assert data["unknown"] == []


def test_why_and_inspect_tell_what_an_image_was_made_from(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last image of the spec is found again by `why`; before there is one, that is said."""
    assert main(["why", str(spec)]) == 7
    assert "nothing was built from" in capsys.readouterr().err
    assert main(["build", str(spec)]) == 0
    assert main(["inspect", capsys.readouterr().out.strip()]) == 0
    shown = capsys.readouterr().out
    assert "made from (Python 3.11.2, on another image)\n  alpha  1.0  sha256:" in shown
    assert "dev.imagekit.record" not in shown
    assert main(["why", str(spec)]) == 0
    assert capsys.readouterr().out.startswith("nothing changes since thing:")
    (spec.parent / "src" / "more.py").write_text("")
    assert main(["why", str(spec), "--output", "json"]) == 0
    (change,) = json.loads(capsys.readouterr().out)["changes"]
    assert change["cause"] == {"kind": "file", "name": "src/more.py", "detail": "new"}


def test_what_can_not_be_planned_is_refused(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A place that is no registry, and a push to none."""
    assert main(["plan", str(spec), "--to", "oci:x"]) == 2
    assert main(["plan", str(spec), "--push"]) == 7
    assert "the spec names no registry" in capsys.readouterr().err


def test_a_plan_loads_no_more_than_it_needs(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On a warm machine: no registry, engine or resolver; of others what reads YAML and words."""
    assert main(["build", str(spec)]) == 0
    digest = capsys.readouterr().out.strip().partition("@")[2]
    run("plan", str(spec))  # notes which runtime the installed files come to
    ran = run("plan", str(spec))
    assert ran.stdout.endswith(f"digest  {digest}\n")
    assert len([name for name in ran.modules if name.startswith("imagekit")]) <= OURS_AT_MOST
    assert [name for name in ran.modules if name.startswith(OURS)] == []
    packages = {name.partition(".")[0] for name in ran.modules} - set(sys.stdlib_module_names)
    compiled = {name for name in packages if "cython" in name}
    assert packages - compiled == {"click", "deflate", "imagekit", "yaml"}
    assert UNNEEDED & {*ran.modules} == set()
