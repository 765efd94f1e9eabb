# SPDX-License-Identifier: Apache-2.0
"""Tasks of every form as the real flytekit registers them: their args run unchanged by both.

`FLYTEKIT_PYTHON` names an interpreter that has flytekit; ours runs under it too, as in an image
that has flytekit.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from flyteidl.core.dynamic_job_pb2 import DynamicJobSpec
from flyteidl.core.errors_pb2 import ErrorDocument
from flyteidl.core.literals_pb2 import Literal, LiteralMap

HERE = Path(__file__).parent
MAIN = HERE.parents[2] / "entrypoint" / "__main__.py"
FLYTEKIT = os.environ.get("FLYTEKIT_PYTHON", "")
SAME = {
    "twice": "twice",
    "nothing": "nothing",
    "stays": "stays",
    "shown": "shown",
    "mapped": "mapped",
    "shimmed": "shimmed",
    "fast": "twice",
    "notebook": "twice",
    "stored": "twice",
    "argument": "twice",
}
INDEX = {"BATCH_JOB_ARRAY_INDEX_VAR_NAME": "ELEMENT", "ELEMENT": "1"}

if not FLYTEKIT and "flytekit" in os.environ.get("REQUIRE_REAL", "").split(","):
    raise RuntimeError("REQUIRE_REAL names flytekit, but FLYTEKIT_PYTHON is not set")
pytestmark = pytest.mark.skipif(not FLYTEKIT, reason="FLYTEKIT_PYTHON is not set")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("forms")
    shutil.copy(HERE / "forms.py", path)
    subprocess.run(
        [FLYTEKIT, "-c", f"import forms, pathlib; forms.main(pathlib.Path({str(path)!r}))"],
        cwd=path,
        check=True,
        capture_output=True,
    )
    return path


def run(folder: Path, form: str, inputs: str, *, ours: bool, **environ: str) -> Path:
    """Fill the templates as Flyte's backend does, and run the words; return the output prefix."""
    prefix = folder / f"{form}-{'ours' if ours else 'theirs'}"
    workdir = folder
    if form == "fast":  # where no code is but what the bundle brings
        workdir = folder / f"empty-{ours}"
        workdir.mkdir(exist_ok=True)
    filled = {
        "{{.input}}": f"{folder}/{inputs}.pb",
        "{{.outputPrefix}}": str(prefix),
        "{{.rawOutputDataPrefix}}": f"{folder}/raw",
        "{{.taskTemplatePath}}": f"{folder}/template.pb",
        "{{ .remote_package_path }}": f"{folder}/code.tar.gz",
        "{{ .dest_dir }}": ".",
    }
    words = [filled.get(word, word) for word in json.loads((folder / f"{form}.json").read_text())]
    scripts = Path(FLYTEKIT).parent
    start = [FLYTEKIT, "-I", str(MAIN)] if ours else []
    path = f"{scripts}:{os.environ['PATH']}"
    subprocess.run(
        [*start, *words],
        cwd=workdir,
        env={**os.environ, **INDEX, **environ, "PATH": path},
        check=True,
        capture_output=True,
    )
    return prefix


@pytest.mark.parametrize("form", SAME)
def test_every_form_gives_what_pyflyte_gives(folder: Path, form: str) -> None:
    """The same outputs, and beside them the same files."""
    prefixes = [run(folder, form, SAME[form], ours=ours) for ours in (True, False)]
    ours, theirs = (
        LiteralMap.FromString((prefix / "outputs.pb").read_bytes()) for prefix in prefixes
    )
    assert ours == theirs
    assert len({tuple(sorted(os.listdir(prefix))) for prefix in prefixes}) == 1
    assert ours.literals or form == "nothing"


@pytest.mark.parametrize("form", ["framed", "summed", "filed", "foldered", "recorded"])
def test_what_is_stored_beside_the_outputs_is_the_same(folder: Path, form: str) -> None:
    """Dataframes, files, directories, and a dataclass with a file: byte by byte, but for names."""
    ours, theirs = (
        (run(folder, form, form, ours=each) / "outputs.pb").read_bytes() for each in (True, False)
    )
    found = [
        literal_with_content(LiteralMap.FromString(each).literals["o0"]) for each in (ours, theirs)
    ]
    assert found[0] == found[1]
    assert found[0][1] or form in ("summed", "recorded")


def literal_with_content(literal: Literal) -> tuple[bytes, dict[str, bytes]]:
    """The literal without the random name of what it stores, and the files that are there."""
    kind = literal.scalar.WhichOneof("value")
    stored = getattr(literal.scalar, kind)
    if not getattr(stored, "uri", ""):
        data = literal.SerializeToString(deterministic=True)
        return re.sub(rb"/[0-9a-f]{32}/", b"/random/", data), {}
    place = Path(stored.uri)
    stored.uri = place.name if place.is_file() else ""
    files = [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]
    content = {str(path.relative_to(place)): path.read_bytes() for path in files}
    return literal.SerializeToString(deterministic=True), content


def test_what_a_dynamic_task_wants_run_is_left_for_flyte(folder: Path) -> None:
    """futures.pb, with the same nodes and tasks, bundle included."""
    settings = subprocess.run(
        [FLYTEKIT, "-c", "import forms; print(forms.settings().serialized_context)"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    ours, theirs = (
        DynamicJobSpec.FromString(
            (run(folder, "grows", "grows", ours=each, _F_SS_C=settings) / "futures.pb").read_bytes()
        )
        for each in (True, False)
    )
    assert len(ours.nodes) == 3
    assert ours == theirs


@pytest.mark.parametrize("form", ["broken", "negative"])
def test_what_the_user_raised_is_the_users(folder: Path, form: str) -> None:
    """Also in a shim executor, where flytekit takes it for a failure of the system."""
    literals = LiteralMap()
    literals.literals["x"].scalar.primitive.integer = -1
    (folder / "negative.pb").write_bytes(literals.SerializeToString())
    shutil.copy(folder / "shimmed.json", folder / "negative.json")
    prefix = run(folder, form, form, ours=True)
    error = ErrorDocument.FromString((prefix / "error.pb").read_bytes()).error
    assert (error.code, error.kind, error.origin) == ("USER:RuntimeError", 0, 1)
    first = error.message.splitlines()[3]
    assert first.strip().startswith(f'File "{folder}/forms.py"')


def test_a_wrong_type_is_the_users_fault_too(folder: Path) -> None:
    """Flytekit blames the system; another try would not help."""
    error = ErrorDocument.FromString(
        (run(folder, "wrong", "wrong", ours=True) / "error.pb").read_bytes()
    ).error
    assert (error.code, error.kind, error.origin) == ("USER:WrongType", 0, 1)
