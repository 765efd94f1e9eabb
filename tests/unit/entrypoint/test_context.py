# SPDX-License-Identifier: Apache-2.0
"""What a task may ask of its run: identity, secrets, checkpoints."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from entrypoint.checkpoint import MANIFEST, Checkpoint
from entrypoint.context import Context
from entrypoint.errors import InputsCorruptError, UserError
from entrypoint.secrets import MASK, Secrets, masked
from tests.house.project import ROOT
from tests.unit.entrypoint.workdir import Workdir

CANARY = "hunter2-canary"
CODE = f"""
import os, sys
sys.path.append({str(ROOT)!r})
import imagekit

def who() -> list[str]:
    context = imagekit.current_context()
    execution, task = context.execution, context.task
    return [execution.name, execution.project, task.name, task.version, context.output_prefix]

def leaks(how: str) -> int:
    secrets = imagekit.current_context().secrets
    value = secrets.get("key", group="grp") if how == "looked up" else os.environ["_FSEC_GRP_KEY"]
    raise ValueError(f"connecting with {{value}}")
"""


def test_the_execution_is_known_by_flytes_variables(workdir: Workdir) -> None:
    """The long name wins over the short one; what is not set is empty."""
    workdir.module("asking", CODE)
    workdir.inputs({})
    environ = {"FLYTE_INTERNAL_EXECUTION_ID": "run-1", "_F_NM": "other", "_F_PRJ": "p"}
    assert workdir.execute("asking:who", environ={**environ, "_F_TK_V": "v9"}).code == 0
    items = workdir.outputs()["literals"]["o0"]["collection"]["literals"]
    texts = [item["scalar"]["primitive"]["string_value"] for item in items]
    assert texts == ["run-1", "p", "", "v9", str(workdir.prefix)]


def test_outside_of_a_run_everything_is_unknown() -> None:
    """And asking is no error."""
    context = Context(None, {})
    assert (context.execution.name, context.output_prefix, context.map_index) == ("", None, None)
    assert context.checkpoint.restore() is None


@pytest.mark.parametrize("how", ["looked up", "read from the environment"])
def test_a_secret_is_masked_in_all_that_we_write(workdir: Workdir, how: str) -> None:
    """Standard error, the document and the termination message."""
    workdir.module("asking", CODE)
    workdir.inputs({"how": how})
    log = workdir.path / "termination"
    log.touch()
    environ = {"_FSEC_GRP_KEY": CANARY}
    result = workdir.execute("asking:leaks", "--termination-log", str(log), environ=environ)
    assert result.code == 10
    written = [path.read_bytes() for path in (workdir.prefix / "error.pb", log)]
    for text in (*written, result.stdout.encode(), result.stderr.encode()):
        assert CANARY.encode() not in text
    assert f"connecting with {MASK}" in workdir.error()["message"]


def test_a_secret_is_found_in_the_environment_then_in_a_file(tmp_path: Path) -> None:
    """Names as Flyte has them."""
    (tmp_path / "grp" / "v1").mkdir(parents=True)
    (tmp_path / "grp" / "v1" / "key").write_bytes(b"from a file\n")
    environ = {"FLYTE_SECRETS_DEFAULT_DIR": str(tmp_path), "_FSEC_TOKEN": "a\n"}
    secrets = Secrets(environ)
    assert secrets.get("Key", group="Grp", version="v1") == "from a file"
    assert secrets.get_bytes("Key", group="Grp", version="v1") == b"from a file\n"
    assert secrets.get("token") == "a"
    both = Secrets({**environ, "_FSEC_GRP_V1_KEY": "from the environment"})
    assert both.get("key", group="grp", version="v1") == "from the environment"
    with pytest.raises(UserError, match="no secret absent: _FSEC_ABSENT is not set, and reading"):
        secrets.get("absent")


def test_bytes_are_exact(tmp_path: Path) -> None:
    """Whatever they are."""
    data = bytes(range(256)) + b"\n\n"
    (tmp_path / "binary").write_bytes(data)
    secrets = Secrets({"FLYTE_SECRETS_DEFAULT_DIR": str(tmp_path)})
    assert secrets.get_bytes("binary") == data
    with pytest.raises(UserError, match="is not text; use get_bytes"):
        secrets.get("binary")


def test_files_that_nobody_looked_up_are_masked_too(tmp_path: Path) -> None:
    """Line by line, as an error may show one of a key's lines; short values stay."""
    (tmp_path / "pem").write_text("-----BEGIN-----\nMIIEvQIBADAN\n-----END-----\n")
    (tmp_path / "short").write_text("on")
    environ = {"FLYTE_SECRETS_DEFAULT_DIR": str(tmp_path)}
    assert masked("at MIIEvQIBADAN, on", environ) == f"at {MASK}, on"


def test_what_was_saved_last_is_restored(tmp_path: Path) -> None:
    """Bytes, a file or a directory; what it replaces is gone."""
    saving = Checkpoint(str(tmp_path / "saved"), None)
    saving.save(b"first")
    folder = tmp_path / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "weights").write_bytes(b"\0\1")
    saving.save(folder)
    restored = Checkpoint(str(tmp_path / "next"), str(tmp_path / "saved")).restore()
    assert restored is not None
    assert (Path(restored) / "deep" / "weights").read_bytes() == b"\0\1"
    assert len(os.listdir(tmp_path / "saved")) == 2
    saving.save(b"second")
    assert saving.read() == b"second"


def test_half_a_save_is_no_checkpoint(tmp_path: Path) -> None:
    """Before the manifest names it, it does not exist; the one before it does."""
    saving = Checkpoint(str(tmp_path / "saved"), None)
    assert saving.restore() is None
    (tmp_path / "saved" / "half").mkdir(parents=True)
    (tmp_path / "saved" / "half" / "content").write_bytes(b"x")
    assert saving.restore() is None
    saving.save(b"whole")
    assert saving.read() == b"whole"


def test_a_checkpoint_that_was_changed_is_refused(tmp_path: Path) -> None:
    """As its digests say; and a manifest that is none is no manifest."""
    saving = Checkpoint(str(tmp_path), None)
    saving.save(b"content")
    name = json.loads((tmp_path / MANIFEST).read_text())["name"]
    (tmp_path / name / "content").write_bytes(b"changed")
    with pytest.raises(InputsCorruptError, match="is not what was saved"):
        saving.restore()
    (tmp_path / MANIFEST).write_text('{"name": "../../etc"}')
    with pytest.raises(InputsCorruptError, match="no checkpoint's manifest"):
        saving.restore()


def test_saving_needs_a_place() -> None:
    """Which the backend gives, or --checkpoint-path."""
    with pytest.raises(UserError, match="no --checkpoint-path"):
        Checkpoint(None, None).save(b"")
