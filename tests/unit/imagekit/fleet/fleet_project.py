# SPDX-License-Identifier: Apache-2.0
"""A repository of specs whose locks were written by hand, so that nothing is resolved."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from imagekit.lock import file
from imagekit.lock.model import LockedWheel
from imagekit.oci.descriptor import Platform
from imagekit.spec.digest import spec_digest
from imagekit.spec.load import load_specs
from tests.unit.imagekit.builders.project import PLATFORM, Project

HEADER = "base_image: oci:../base\ncompile_bytecode: false\nobject_storage: false\n"


class Fleet:
    """Specs in folders of a git repository; on a base of one file, with caches of its own."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.project = Project(root, monkeypatch)
        monkeypatch.chdir(root)

    def write(self, folder: str, text: str, *wheels: LockedWheel, source: str = "") -> Path:
        """A spec with its locks, all of them with the same wheels."""
        place = self.root / folder
        (place / "src").mkdir(parents=True, exist_ok=True)
        (place / "src" / "task.py").write_text(source or f"# {folder}\n")
        platform = "" if "platform:" in text else f"platform: {PLATFORM}\n"
        (place / "spec.yaml").write_text(HEADER + platform + text)
        self.lock(place / "spec.yaml", wheels)
        return place / "spec.yaml"

    def lock(self, path: Path, wheels: Sequence[LockedWheel]) -> None:
        for address, spec in load_specs(path).items():
            digest = spec_digest(spec, path.parent)
            platforms = [Platform.parse(each) for each in spec.platforms]
            made = self.project.locks(dict.fromkeys(platforms, wheels))
            locks = [
                dataclasses.replace(
                    lock, spec_digest=digest, base={**lock.base, "reference": "oci:../base"}
                )
                for lock in made
            ]
            file.write(file.lock_path(address), locks)

    def commit(self, message: str) -> None:
        if not (self.root / ".git").exists():
            self.git("init", "--quiet", "--initial-branch=main")
            (self.root / ".gitignore").write_text("/cache\n/data\n/index\n")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def git(self, *words: str) -> None:
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        command = ["git", *identity, "-c", "commit.gpgsign=false", *words]
        subprocess.run(command, cwd=self.root, check=True)
