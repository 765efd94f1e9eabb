# SPDX-License-Identifier: Apache-2.0
"""The example with Ollama, by Ollama's own client, beside a fake of its server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.fake_model_server import Script, serving
from tests.house.project import ROOT


@pytest.mark.network
def test_the_example_chats(tmp_path: Path) -> None:
    """The task connects when the model answers, and asks it."""
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(tmp_path)]
    subprocess.run([*uv, "ollama"], check=True)
    places = [str(ROOT / "examples/ollama-chat/src"), str(ROOT), str(tmp_path)]
    code = f"import sys; sys.path[:0] = {places!r}; import chat; print(chat.ask('Why?'))"
    with serving(Script(model="terse:latest")) as script:
        values = {"URL": script.url, "MODEL": "terse", "KIND": "ollama"}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={
                **os.environ,
                "NO_PROXY": "127.0.0.1",
                **{f"SIDECAR_MODEL_SERVER_{name}": value for name, value in values.items()},
            },
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "You said: Why?\n"
