# SPDX-License-Identifier: Apache-2.0
"""Jobs in an image of this machine's own programs, by each way into it that root has."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from imagekit.engines.namespaces import KernelEngine, Way
from imagekit.engines.subordinate import Range, find_range
from imagekit.errors import BuildError, EngineError
from imagekit.jobs.job import Job
from imagekit.jobs.sandbox import check_machine, run_job
from imagekit.layers.writer import LayerWriter
from tests.fakes.images import host_image

WAYS = {
    "overlay": Way(overlay=True),
    "copy": Way(),
    "chroot": Way(namespaces=False),
}
SCRIPT = """\
touch /etc/passwd && echo one > /new && mkdir -p /srv/a && rm_it=/etc/group && \
id > /srv/a/who && env > /srv/a/env && ls /proc/self > /dev/null; : > /dev/null; : > /etc/hosts
"""


@pytest.fixture(autouse=True)
def _own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def engine(way: str) -> KernelEngine:
    return KernelEngine(os.environ, (WAYS[way],))


def run(folder: Path, way: str, script: str, **more: object) -> dict[str, bytes]:
    """The files of the layer that `script` makes, and None-like b"" for folders."""
    buffer = io.BytesIO()
    writer = LayerWriter(buffer)
    job = Job("commands", ("/bin/sh", "-c", script), {"PATH": "/bin", "A": "b"}, **more)  # type: ignore[arg-type]
    run_job(host_image(folder), job, writer, engine(way))
    writer.finish()
    buffer.seek(0)
    found = {}
    with tarfile.open(fileobj=buffer, mode="r:gz") as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isreg() else None
            found[member.name] = b"" if stream is None else stream.read()
    return found


@pytest.mark.root
@pytest.mark.parametrize("way", WAYS)
def test_what_a_job_changes_is_all_that_is_kept(tmp_path: Path, way: str) -> None:
    """It is root, has its variables and no others, and leaves no trace of how it was run."""
    found = run(tmp_path, way, SCRIPT)
    assert set(found) >= {"new", "srv", "srv/a", "srv/a/who", "srv/a/env"}
    assert not {"etc/passwd", "etc/hosts", "etc/resolv.conf", "dev/null", "proc/self"} & set(found)
    assert found["new"] == b"one\n"
    assert found["srv/a/who"].startswith(b"uid=0")
    variables = set(found["srv/a/env"].decode().split())
    assert {"A=b", "PATH=/bin"} <= variables
    assert {each.partition("=")[0] for each in variables} <= {"A", "PATH", "PWD", "SHLVL", "_"}


@pytest.mark.root
@pytest.mark.parametrize("way", WAYS)
def test_a_failing_job_gives_its_code_and_its_last_lines(tmp_path: Path, way: str) -> None:
    """Of both streams, in their order; nothing is kept of it."""
    script = "i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); done; echo why >&2; exit 42"
    with pytest.raises(BuildError) as caught:
        run(tmp_path, way, script)
    lines = caught.value.message.splitlines()
    assert lines[0] == "commands: exit code 42"
    assert lines[-2:] == ["  line 99", "  why"]
    assert len(lines) == 21


@pytest.mark.root
@pytest.mark.parametrize("way", ["overlay", "copy"])
def test_a_secret_is_there_while_the_job_runs_and_gone_after(tmp_path: Path, way: str) -> None:
    """It can't be written; folders made for it are not kept, unless the job put something there."""
    secret = tmp_path / "secret"
    secret.write_text("hush")
    script = "cat /run/secrets/token >&2 && [ ! -d /x ] && ! echo no > /run/secrets/token"
    assert run(tmp_path, way, script, secrets=((str(secret), "/run/secrets/token"),)) == {}
    kept = "echo yes > /run/secrets/other"
    found = run(tmp_path, way, kept, secrets=((str(secret), "/run/secrets/token"),))
    assert set(found) == {"run", "run/secrets", "run/secrets/other"}


@pytest.mark.root
def test_without_mounts_secrets_are_refused(tmp_path: Path) -> None:
    """A copy of them might stay behind."""
    with pytest.raises(EngineError, match="secrets can't be mounted here"):
        run(tmp_path, "chroot", "true", secrets=((str(tmp_path / "s"), "/s"),))


@pytest.mark.root
def test_patterns_are_forgotten(tmp_path: Path) -> None:
    """Such as logs and caches, whose content differs from run to run."""
    script = "mkdir -p /var/log && echo x > /var/log/a && echo y > /keep"
    assert "var/log/a" not in run(tmp_path, "overlay", script, forget=("var/log/*",))


@pytest.mark.root
def test_a_job_whose_program_is_missing_says_so(tmp_path: Path) -> None:
    """By its name."""
    job = Job("commands", ("/bin/nothing",), {})
    with pytest.raises(BuildError, match=r"commands: starting '/bin/nothing'"):
        run_job(host_image(tmp_path), job, LayerWriter(io.BytesIO()), engine("overlay"))


def test_another_architecture_names_the_builder_that_can() -> None:
    """Nothing is tried."""
    with pytest.raises(BuildError, match=r"can't run programs of linux/s390x") as caught:
        check_machine("linux/s390x", "commands")
    assert caught.value.hint is not None
    assert "builder: docker" in caught.value.hint


def test_subordinate_ids_are_found_by_name_or_number(tmp_path: Path) -> None:
    """The longest range counts, and one that is too short for an image is none."""
    table = tmp_path / "subuid"
    table.write_text("ann:1:10\nann:100000:65536\n1001:200000:70000\nbob:5:100\nbroken\n")
    assert find_range(table, "ann", 1000) == Range(100000, 65536)
    assert find_range(table, "eve", 1001) == Range(200000, 70000)
    assert find_range(table, "bob", 1002) is None
    assert find_range(tmp_path / "absent", "ann", 1000) is None
