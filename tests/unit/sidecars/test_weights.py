# SPDX-License-Identifier: Apache-2.0
"""Bringing model files. What serves here is a fake of a hub, over real sockets."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecars.errors import FilesError
from sidecars.weights.bring import bring, noted
from sidecars.weights.download import Progress
from sidecars.weights.lock import lock_files
from tests.fakes.fake_hub import Hub, serving_hub
from tests.fakes.http_server import Script, serving

FILES = {
    "config.json": b"{}",
    "empty.txt": b"",
    "model-1.safetensors": os.urandom(100_000),
    "model-2.safetensors": os.urandom(70_000),
    "sub/tokenizer.json": b'{"version": 1}',
}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving_hub(Hub(dict(FILES))) as hub:
        yield hub


RANGE = 16_384  # small, so that a small file has several


def brought(hub: Hub, folder: Path, **description: Any) -> list[str]:
    said: list[str] = []
    environment = {"HF_ENDPOINT": hub.url, **({"HF_TOKEN": hub.token} if hub.token else {})}
    wanted = {"source": f"hf://{hub.model}", **description}
    until = time.monotonic() + 60
    bring(wanted, str(folder), environment, until, said.append, range_bytes=RANGE)
    return said


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".imagekit")
    }


def lock_of(files: dict[str, bytes], source: str) -> dict[str, Any]:
    members = [
        {"path": path, "size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for path, data in files.items()
    ]
    return {"lock_version": 1, "asked": "hf://org/model", "source": source, "files": members}


def test_all_files_of_a_model_come(hub: Hub, tmp_path: Path) -> None:
    """From every page of its tree, the large ones in ranges, with nothing else beside them."""
    said = brought(hub, tmp_path / "model")
    assert content(tmp_path / "model") == FILES
    assert sorted(os.listdir(tmp_path)) == [".model.lock", "model"]
    parts = [span for path, span in hub.content if path == "model-1.safetensors"]
    assert len(parts) == 1 + 7
    assert said[-1].startswith("fetched 100%")
    assert noted(str(tmp_path / "model")) == {
        path: hashlib.sha256(data).hexdigest() for path, data in FILES.items()
    }


def test_the_last_line_says_that_all_came() -> None:
    """Whatever the sizes of the parts: none before it is counted as the whole."""
    said: list[str] = []
    progress = Progress(said.append, 119)
    for part in (100, 18, 1):
        progress.add(part)
    assert [line.partition(":")[0] for line in said] == [
        *("fetched 84%", "fetched 99%", "fetched 100%")
    ]


def test_what_is_there_is_not_asked_for_again(hub: Hub, tmp_path: Path) -> None:
    """Nor is the hub: a claim works without a network."""
    brought(hub, tmp_path / "model")
    hub.asked.clear()
    brought(hub, tmp_path / "model")
    assert hub.asked == []


def test_only_what_is_wanted_comes(hub: Hub, tmp_path: Path) -> None:
    """By patterns of the path or of the name alone."""
    brought(hub, tmp_path / "model", include=["*-1.safetensors", "tokenizer.json"])
    assert set(content(tmp_path / "model")) == {"model-1.safetensors", "sub/tokenizer.json"}
    with pytest.raises(FilesError, match="no file that is wanted"):
        brought(hub, tmp_path / "other", include=["*.bin"])


def test_a_token_stays_with_the_hub(hub: Hub, tmp_path: Path) -> None:
    """Large files are a redirect to another host, which is given no key; nor is any log."""
    hub.token = "hf_secret"
    said = brought(hub, tmp_path / "model")
    assert content(tmp_path / "model") == FILES
    assert hub.leaked == []
    assert "hf_secret" not in "".join(said)
    hub.token = "another"
    with pytest.raises(FilesError, match=r"answers 401.*HF_TOKEN"):
        bring(
            {"source": "hf://org/model"},
            str(tmp_path / "x"),
            {"HF_ENDPOINT": hub.url, "HF_TOKEN": "wrong"},
            time.monotonic() + 60,
            said.append,
        )


@pytest.mark.parametrize("fault", ["cut", "busy", "error", "bare"])
def test_a_fault_is_gone_around(hub: Hub, tmp_path: Path, fault: str) -> None:
    """A broken connection, a busy server, one that has no ranges."""
    hub.faults = [fault] * 3
    brought(hub, tmp_path / "model")
    assert content(tmp_path / "model") == FILES


def test_a_download_goes_on_where_it_broke_off(hub: Hub, tmp_path: Path) -> None:
    """Of the next pod too: ranges that came are not asked for again."""
    hub.lies["model-2.safetensors"] = os.urandom(70_000)
    with pytest.raises(FilesError, match=r"model-2.safetensors has sha256"):
        brought(hub, tmp_path / "model")
    assert not (tmp_path / "model").exists()
    hub.lies.clear()
    hub.content.clear()
    brought(hub, tmp_path / "model")
    assert {path for path, _ in hub.content} == {"model-2.safetensors"}
    assert content(tmp_path / "model") == FILES


def test_a_pod_that_was_killed_leaves_its_part(hub: Hub, tmp_path: Path) -> None:
    """Whole ranges count; the range that was under way comes again."""
    folder = tmp_path / ".model.partial"
    folder.mkdir()
    data = FILES["model-1.safetensors"]
    version = hashlib.sha256(data).hexdigest()
    (folder / ".model-1.safetensors.part").write_bytes(data[:32_768] + b"\0" * 67_232)
    notes = json.dumps([version, len(data), RANGE]) + "\n0\n16384\n"
    (folder / ".model-1.safetensors.done").write_text(notes)
    brought(hub, tmp_path / "model")
    starts = sorted(
        int(str(span).removeprefix("bytes=").partition("-")[0])
        for path, span in hub.content
        if path == "model-1.safetensors" and span != "bytes=0-0"
    )
    assert starts == [32_768, 49_152, 65_536, 81_920, 98_304]
    assert content(tmp_path / "model") == FILES


@pytest.mark.parametrize("path", ["model-1.safetensors", "config.json"])
def test_other_bytes_than_the_hubs_own_are_refused(hub: Hub, tmp_path: Path, path: str) -> None:
    """Large files by their sha256, small ones by git's digest."""
    hub.lies[path] = bytes(len(FILES[path]))
    with pytest.raises(FilesError, match=path.replace(".", r"\.")):
        brought(hub, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("path", ["../evil", "/etc/evil", "a//b"])
def test_a_name_that_leads_outside_is_refused(hub: Hub, tmp_path: Path, path: str) -> None:
    """Whatever a hub says."""
    hub.files[path] = b"x"
    with pytest.raises(FilesError, match="which no file may be called"):
        brought(hub, tmp_path / "model")


def test_a_lock_holds_every_byte(hub: Hub, tmp_path: Path) -> None:
    """A file that is changed, missing or new is an error; the commit is the one that was locked."""
    source = f"hf://org/model@{hub.commit}"
    brought(hub, tmp_path / "model", lock=lock_of(FILES, source))
    assert any(f"/revision/{hub.commit}" in path for path in hub.asked)
    changed = {**FILES, "config.json": b"[]"}
    with pytest.raises(FilesError, match=r"config\.json"):
        brought(hub, tmp_path / "a", lock=lock_of(changed, source))
    more = {**FILES, "gone.json": b"{}"}
    with pytest.raises(FilesError, match=r"no longer has gone\.json"):
        brought(hub, tmp_path / "b", lock=lock_of(more, source))
    fewer = {path: data for path, data in FILES.items() if path != "empty.txt"}
    brought(hub, tmp_path / "c", lock=lock_of(fewer, source))
    assert content(tmp_path / "c") == fewer


def test_a_model_that_has_no_room_is_told_before_a_byte_comes(hub: Hub, tmp_path: Path) -> None:
    """What its volume may hold, or what the disk has left."""
    with pytest.raises(FilesError, match=r"1Mi, and their volume has room for 1Mi .*`weights`"):
        brought(hub, tmp_path / "model", room_bytes=100_000)
    lock = lock_of(FILES, f"hf://org/model@{hub.commit}")
    lock["files"][2]["size_bytes"] = 2**60
    with pytest.raises(FilesError, match=r"of files are to come, and \w+ are free"):
        brought(hub, tmp_path / "model", lock=lock)
    assert hub.content == []
    brought(hub, tmp_path / "model", room_bytes=200_000)


def test_several_pods_share_the_work(hub: Hub, tmp_path: Path) -> None:
    """One fetches, the others wait for it, and all find it whole."""
    logs: list[list[str]] = []
    pods = [
        threading.Thread(target=lambda: logs.append(brought(hub, tmp_path / "model")))
        for _ in range(4)
    ]
    for pod in pods:
        pod.start()
    for pod in pods:
        pod.join()
    assert content(tmp_path / "model") == FILES
    asked = [each for each in hub.content if each[1] != "bytes=0-0"]
    assert len(asked) == len(set(asked))
    assert sum(log[-1].endswith("is there") for log in logs) == 3


def test_a_lock_that_is_held_is_waited_for_no_longer_than_the_time(
    hub: Hub, tmp_path: Path
) -> None:
    """And nothing is taken from its holder."""
    with (tmp_path / ".model.lock").open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(FilesError, match="another pod still holds"):
            bring({"source": "hf://org/model"}, str(tmp_path / "model"), {}, 0, lambda _: None)
    assert hub.asked == []


def test_a_file_of_the_web_comes_by_its_url(tmp_path: Path) -> None:
    """Also from a server that has neither ranges nor a version."""
    with serving(Script(b"weights" * 1000, faults=["error", "cut"], ranges=False)) as script:
        bring(
            {"source": script.url},
            str(tmp_path / "model"),
            {},
            time.monotonic() + 60,
            lambda _: None,
        )
    assert content(tmp_path / "model") == {"file": script.body}


def test_a_signature_reaches_the_server_and_no_text(tmp_path: Path) -> None:
    """It comes from a secret: neither the log nor the note nor a lock has it."""
    said: list[str] = []
    environment = {"HTTP_QUERY": "?sig=word"}
    with serving(Script(b"weights", ranges=False)) as script:
        until = time.monotonic() + 60
        bring({"source": script.url}, str(tmp_path / "model"), environment, until, said.append)
        assert set(script.paths) == {"/file?sig=word"}
        (tmp_path / "scratch").mkdir()
        scratch = str(tmp_path / "scratch")
        lock = lock_files(script.url, (), scratch, environment, until, said.append)
        with pytest.raises(FilesError, match="give it as HTTP_QUERY") as caught:
            lock_files(f"{script.url}?sig=word", (), scratch, {}, until, said.append)
        script.faults = ["missing"] * 9
        with pytest.raises(FilesError, match="answers 404") as lost:
            bring({"source": script.url}, str(tmp_path / "x"), environment, until, said.append)
    note = (tmp_path / "model/.imagekit-files.json").read_text()
    assert "word" not in f"{said} {note} {lock} {caught.value} {lost.value}"


def test_the_step_says_what_it_does_and_why_it_ends(hub: Hub, tmp_path: Path) -> None:
    """As the pod starts it: work in a variable, progress in the log, the reason last."""
    work = {"downloads": [{"source": "hf://org/model", "into": str(tmp_path / "model")}]}
    command = [sys.executable, "-m", "sidecars", "prepare", "--name", "x", "--deadline", "60"]
    environment = {"HF_ENDPOINT": hub.url, "SIDECAR_WORK": json.dumps(work)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines()[0].startswith("fetching hf://org/model into")
    work = {"downloads": [{"source": "hf://org/none", "into": str(tmp_path / "none")}]}
    environment["SIDECAR_WORK"] = json.dumps(work)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "answers 404" in done.stderr.splitlines()[-1]
