# SPDX-License-Identifier: Apache-2.0
"""Random edits of a spec of real wheels: what is told before the build, beside what came of it.

The command line is asked, in caches of its own, against a registry's own storage and log.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fakes.registry_server import Server
from tests.real.builds import Host, new_host, shared_downloads

pytestmark = [pytest.mark.registry, pytest.mark.network, pytest.mark.slow]

EDITS = 30
VERSIONS = {
    "attrs": ("25.3.0", "25.4.0"),
    "certifi": ("2025.1.31", "2025.8.3"),
    "idna": ("3.9", "3.10"),
    "iniconfig": ("2.0.0", "2.1.0"),
    "markupsafe": ("3.0.2", "3.0.3"),
    "pluggy": ("1.5.0", "1.6.0"),
    "six": ("1.16.0", "1.17.0"),
    "toolz": ("0.12.1", "1.0.0"),
}
"""Wheels that need no others, in two versions each; one with compiled code."""


class Edited:
    """A spec that is changed in one thing at a time; each change returns what `why` has to name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.random = random.Random(2)
        self.count = 0
        self.chosen = {"six": 0, "markupsafe": 0}
        self.fields: dict[str, Any] = {}
        (folder / "src").mkdir()
        (folder / "src/task.py").write_text("x = 1\n")
        (folder / "notes.txt").write_text("0")
        self.write()

    @property
    def path(self) -> Path:
        return self.folder / "spec.yaml"

    def write(self) -> None:
        packages = [f"{name}=={VERSIONS[name][at]}" for name, at in self.chosen.items()]
        spec = {
            "name": "tests/edits",
            "python_version": "3.11",
            "object_storage": False,
            "source_root": "src",
            "packages": packages,
            **self.fields,
        }
        self.path.write_text(yaml.safe_dump(spec))

    def edit(self) -> tuple[str, str]:
        self.count += 1
        kinds: list[Callable[[], tuple[str, str]]] = [
            *(self.environment, self.label, self.user, self.workdir, self.entrypoint),
            *(self.source, self.source, self.mode, self.notes, self.bytecode),
            *(self.package, self.package, self.version, self.version, self.gone),
        ]
        cause = self.random.choice(kinds)()
        self.write()
        return cause

    def environment(self) -> tuple[str, str]:
        self.fields["env"] = {"N": str(self.count)}
        return "field", "env.N"

    def label(self) -> tuple[str, str]:
        self.fields["labels"] = {"n": str(self.count)}
        return "field", "labels.n"

    def user(self) -> tuple[str, str]:
        self.fields["user"] = str(1000 + self.count)
        return "field", "user"

    def workdir(self) -> tuple[str, str]:
        self.fields["workdir"] = f"/job/{self.count}"
        return "field", "workdir"

    def entrypoint(self) -> tuple[str, str]:
        self.fields["entrypoint"] = ["/bin/echo", str(self.count)]
        return "field", "entrypoint"

    def source(self) -> tuple[str, str]:
        name = f"src/m{self.random.randrange(3)}.py"
        (self.folder / name).write_text(f"x = {self.count}\n")
        return "file", name

    def mode(self) -> tuple[str, str]:
        path = self.folder / "src/task.py"
        path.chmod(path.stat().st_mode ^ 0o111)
        return "file", "src/task.py"

    def notes(self) -> tuple[str, str]:
        if "copy" not in self.fields:
            self.fields["copy"] = ["notes.txt"]
            return "field", "copy"
        (self.folder / "notes.txt").write_text(str(self.count))
        return "file", "notes.txt"

    def bytecode(self) -> tuple[str, str]:
        self.fields["compile_bytecode"] = not self.fields.get("compile_bytecode", True)
        return "field", "compile_bytecode"

    def package(self) -> tuple[str, str]:
        name = self.random.choice(sorted(VERSIONS.keys() - self.chosen.keys()) or ["six"])
        if name in self.chosen:
            return self.version()
        self.chosen[name] = self.random.randrange(2)
        return "lock", name

    def version(self) -> tuple[str, str]:
        name = self.random.choice(sorted(self.chosen))
        self.chosen[name] = 1 - self.chosen[name]
        return "lock", name

    def gone(self) -> tuple[str, str]:
        if len(self.chosen) < 2:
            return self.version()
        name = self.random.choice(sorted(self.chosen))
        del self.chosen[name]
        return "lock", name


class Stored:
    """What a registry got: bytes of new blobs, and the manifests that were put."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.blobs = self._blobs()
        self.log = len(server.log.read_text())

    def _blobs(self) -> dict[str, int]:
        root = self.server.folder / "docker/registry/v2/blobs"
        return {path.parent.name: path.stat().st_size for path in root.rglob("data")}

    def bytes_since(self, digest: str) -> int:
        """Of new blobs, and of the image's manifest as often as it was put."""
        name = digest.removeprefix("sha256:")
        now = self._blobs()
        puts = self.server.log.read_text()[self.log :].count('"PUT /v2/tests/edits/manifests/')
        new = sum(size for blob, size in now.items() if blob not in {*self.blobs, name})
        return new + puts * now[name]


def answer(host: Host, *words: str | Path) -> dict[str, Any]:
    done = host.run(*words, "--output", "json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def causes(host: Host, spec: Path) -> set[tuple[str, str]]:
    changes = answer(host, "why", "--locked", spec)["changes"]
    return {(each["cause"]["kind"], each["cause"]["name"]) for each in changes}


def test_thirty_random_edits_come_to_what_is_told_of_them(server: Server, tmp_path: Path) -> None:
    """Digest and bytes as planned where all is known, else the layers that nobody knew; one why."""
    host = new_host(tmp_path / "host", shared_downloads())
    edited = Edited(tmp_path)
    place = f"docker://{server.address}/tests/edits:1"
    host.lock(edited.path)
    before = host.build(edited.path, place)
    exact = 0
    for _ in range(EDITS):
        cause = edited.edit()
        host.lock(edited.path)
        assert causes(host, edited.path) == {cause}
        plan = answer(host, "plan", "--locked", edited.path, "--to", place)
        stored = Stored(server)
        digest = host.build(edited.path, place)
        assert digest != before, cause
        before = digest
        got = stored.bytes_since(digest)
        if plan["digest"] is None:
            assert plan["unknown"], cause
            assert not plan["push"]["exact"]
            assert plan["push"]["size_bytes"] < got, cause
            plan = answer(host, "plan", "--locked", edited.path, "--to", place)
            assert (plan["digest"], plan["push"]["size_bytes"]) == (digest, 0), cause
        else:
            exact += 1
            assert plan["push"]["exact"]
            assert (plan["digest"], plan["push"]["size_bytes"]) == (digest, got), cause
    assert EDITS // 2 < exact < EDITS
