# SPDX-License-Identifier: Apache-2.0
"""Having Ollama fetch models. What serves here is a fake of its routes, over real sockets."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecars.client import Connection
from sidecars.errors import ServerRefusedError, ServerSlowError, SidecarError
from sidecars.fetch import fetch
from tests.fakes.fake_model_server import Script, free_port, serving


@pytest.fixture
def script() -> Iterator[Script]:
    with serving(Script(model="something-else", lies=["honest"])) as script:
        yield script


def fetched(script: Script, create: dict[str, Any] | None = None, seconds: float = 20) -> list[str]:
    said: list[str] = []
    connection = Connection("model-server", script.url, "llama3.2", "ollama")
    fetch(connection, create, seconds, said.append)
    return said


def part(done: int) -> dict[str, Any]:
    return {"status": "pulling abc", "digest": "sha256:abc", "total": 100, "completed": done}


def test_a_pull_tells_its_progress_in_tenths(script: Script) -> None:
    """A log is no terminal: a line per tenth, not per message."""
    lines = [{"status": "pulling manifest"}, *map(part, range(0, 101, 3)), {"status": "success"}]
    script.pull_lines = [lines]
    said = fetched(script)
    assert said[0] == "pulling manifest"
    assert said[1:11] == [f"pulling abc {percent}%" for percent in range(0, 100, 10)]
    assert said[-1] == "success"


def test_a_model_that_is_there_is_not_pulled(script: Script) -> None:
    """A store that persists works without a network; no tag means latest."""
    script.model = "llama3.2:latest"
    assert fetched(script) == []
    assert script.asked("/api/pull") == []


def test_a_pull_that_is_cut_off_goes_on(script: Script) -> None:
    """It ended without its success, or with an error of the network's."""
    script.pull_lines = [[part(10)], [part(40), {"error": "connection reset by peer"}]]
    said = fetched(script)
    assert len(script.asked("/api/pull")) == 3
    assert "trying again: /api/pull ended before its success" in said


def test_a_name_that_is_wrong_is_told_at_once(script: Script) -> None:
    """It will not be there on the second try."""
    script.pull_lines = [[{"error": "pull model manifest: file does not exist"}]] * 9
    with pytest.raises(ServerRefusedError, match="file does not exist"):
        fetched(script)
    assert len(script.asked("/api/pull")) == 1


def test_the_time_ends_with_what_was_seen(script: Script) -> None:
    """Also where nothing listens."""
    script.pull_lines = [[part(10)]] * 99
    with pytest.raises(ServerSlowError, match="ended before its success"):
        fetched(script, seconds=0.5)
    with pytest.raises(ServerSlowError, match="refused"):
        fetched(Script(port=free_port()), seconds=0.5)


def test_a_model_is_made_of_another(script: Script) -> None:
    """By the fields that servers take now, never a Modelfile's text."""
    create = {"from": "base", "template": "{{ .Prompt }}", "parameters": {"stop": ["<|a|>"]}}
    fetched(script, create)
    assert script.asked("/api/pull") == [{"model": "base", "stream": True}]
    assert script.asked("/api/create") == [{**create, "model": "llama3.2", "stream": True}]


def test_files_are_uploaded_by_their_digest(script: Script, tmp_path: Path) -> None:
    """Once: what the store has already is only asked for, by another pod's model too."""
    weights, adapter = os.urandom(3_000_000), b"adapter"
    (tmp_path / "base.gguf").write_bytes(weights)
    (tmp_path / "style.gguf").write_bytes(adapter)
    create = {"files": [str(tmp_path / "base.gguf")], "adapters": [str(tmp_path / "style.gguf")]}
    said = fetched(script, create)
    assert set(script.blobs.values()) == {weights, adapter}
    (asked,) = script.asked("/api/create")
    assert asked["files"] == {"base.gguf": digest(weights)}
    assert asked["adapters"] == {"style.gguf": digest(adapter)}
    assert "from" not in asked
    assert script.asked("/api/pull") == []
    assert "uploading base.gguf 50%" in said
    script.requests.clear()
    fetched(script, {**create, "system": "hi"})
    assert [method for method, path, _ in script.requests if "/blobs/" in path] == ["HEAD", "HEAD"]


def test_a_model_is_made_once_of_the_same(script: Script, tmp_path: Path) -> None:
    """A store outlives pods; other fields, files or another base make it anew."""
    (tmp_path / "style.gguf").write_bytes(b"adapter")
    create = {"from": "base", "system": "Be terse.", "adapters": [str(tmp_path / "style.gguf")]}
    fetched(script, create)
    script.requests.clear()
    assert fetched(script, create)[-1] == "llama3.2 is there, and made of the same"
    assert {path for _, path, _ in script.requests} == {"/api/tags"}
    fetched(script, {**create, "system": "Be verbose."})
    (tmp_path / "style.gguf").write_bytes(b"another")
    fetched(script, create)
    script.digests["base"] = "pulled anew"
    fetched(script, create)
    assert len(script.asked("/api/create")) == 3
    script.digests["llama3.2"] = "somebody else's"
    fetched(script, create)
    assert len(script.asked("/api/create")) == 4
    assert len([name for name in script.pulled if name.startswith("imagekit-")]) == 1


def test_what_a_step_has_brought_is_not_hashed_again(script: Script, tmp_path: Path) -> None:
    """The note beside the files has their sha256; a server that finds another refuses."""
    (tmp_path / "base.gguf").write_bytes(b"weights")
    hashes = {"base.gguf": hashlib.sha256(b"weights").hexdigest()}
    (tmp_path / ".imagekit-files.json").write_text(json.dumps({"source": "x", "files": hashes}))
    said = fetched(script, {"files": [str(tmp_path)]})
    assert not any("hashing" in line for line in said)
    assert script.blobs == {digest(b"weights"): b"weights"}
    script.blobs.clear()
    (tmp_path / "base.gguf").write_bytes(b"flipped")
    with pytest.raises(ServerRefusedError, match="digest mismatch"):
        fetched(script, {"files": [str(tmp_path)], "system": "hi"})


def test_a_folder_is_uploaded_as_its_files(script: Script, tmp_path: Path) -> None:
    """Of safetensors all that belong to the model, of GGUF that alone; names are the folder's."""
    for name in ("config.json", "model.safetensors", "README.md", ".note.json"):
        (tmp_path / name).write_text(name)
    fetched(script, {"files": [str(tmp_path)]})
    assert set(script.asked("/api/create")[0]["files"]) == {"config.json", "model.safetensors"}
    (tmp_path / "small.gguf").write_text("gguf")
    fetched(script, {"files": [str(tmp_path)]})
    assert set(script.asked("/api/create")[1]["files"]) == {"small.gguf"}


def test_a_file_that_is_not_there_is_told_at_once(script: Script, tmp_path: Path) -> None:
    """So is a folder without weights."""
    for path in (tmp_path / "none.gguf", tmp_path):
        with pytest.raises(SidecarError, match=r"no file|neither GGUF"):
            fetched(script, {"files": [str(path)]})


def test_a_server_that_takes_no_such_model_says_why(script: Script) -> None:
    """Its own words, at once."""
    with pytest.raises(ServerRefusedError, match="neither 'from' or 'files'"):
        fetched(script, {"system": "hi"})


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
