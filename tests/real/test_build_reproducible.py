# SPDX-License-Identifier: Apache-2.0
"""One lock gives one digest, whoever builds it, where, when and with which Python.

Every build starts without layers and without an unpacked base; only downloads are shared.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.real.builds import Host, layers_of, new_host, shared_downloads
from tests.real.interpreters import copied_code, interpreter

pytestmark = pytest.mark.network

SPEC = """\
name: tests/reproducible
python_version: "3.11"
packages: [click, numpy, pyyaml, rich]
object_storage: false
source_root: src
labels: {purpose: Prüfung}
"""
AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
ASCII = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
TURKISH = {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"}


@dataclass(frozen=True, slots=True)
class Variation:
    """How a build differs from the first; `python` None is the Python that runs the tests."""

    umask: int = 0o022
    environ: Mapping[str, str] = field(default_factory=dict)
    as_nobody: bool = False
    python: str | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """What all builds share, open to every user of the machine; `layers` are the first one's."""

    folder: Path
    code: Path
    spec: Path
    downloads: Path
    layers: list[tuple[str, str]]


FEW = {
    "umask-zone-hashseed": Variation(
        0o077, {"TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "1", "SOURCE_DATE_EPOCH": "1"}
    ),
    "nobody-ascii": Variation(0o002, ASCII, as_nobody=True),
    "python3.10": Variation(0o000, {"TZ": "America/St_Johns", **TURKISH}, python="3.10"),
    "python3.13": Variation(0o027, {"PYTHONHASHSEED": "4294967295"}, python="3.13"),
}


def many(count: int) -> Iterator[Variation]:
    """Everything varied at once, by a fixed seed."""
    pick = random.Random(20)
    for number in range(count):
        environ = {
            "TZ": pick.choice(["UTC", "Asia/Kathmandu", "America/St_Johns", "PST8PDT"]),
            "PYTHONHASHSEED": str(pick.randrange(2**32)),
            **pick.choice([{}, ASCII, TURKISH, {"LC_ALL": "C"}, {"LANG": "ja_JP.eucJP"}]),
            **pick.choice([{}, {"SOURCE_DATE_EPOCH": "1"}, {"PYTHONOPTIMIZE": "2"}]),
        }
        umask = pick.choice([0o000, 0o002, 0o022, 0o027, 0o077])
        python = (None, "3.10", "3.12", "3.13", None)[number % 5]
        yield Variation(umask, environ, as_nobody=number % 5 == 4, python=python)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Not below pytest's own folder, which is private. The packages are copied into it, too."""
    folder = Path(tempfile.mkdtemp(prefix="imagekit-reproducible-"))
    folder.chmod(0o755)
    code = copied_code(folder / "code")
    spec = write_project(folder / "project")
    first = Host(folder / "first", code)
    new_host(first.root, shared_downloads())
    first.lock(spec)
    first.build(spec, f"oci:{folder / 'image'}")
    yield Site(folder, code, spec, first.files, layers_of(folder / "image"))
    shutil.rmtree(folder)


@pytest.mark.parametrize("variation", FEW.values(), ids=FEW)
def test_the_digest_does_not_depend_on_the_host(variation: Variation, site: Site) -> None:
    """Folder, user, umask, time zone, locale, hash seed and Python minor leave no trace."""
    assert site.layers == rebuilt(site, variation)


@pytest.mark.slow
@pytest.mark.parametrize("variation", [*many(20)], ids=map(str, range(20)))
def test_twenty_of_twenty(variation: Variation, site: Site) -> None:
    """The same with everything varied at once, twenty times."""
    assert site.layers == rebuilt(site, variation)


def rebuilt(site: Site, variation: Variation) -> list[tuple[str, str]]:
    """Build a copy of the project as `variation` says; returns what `layers_of` does."""
    prefix = AS_NOBODY if variation.as_nobody else ()
    python = interpreter(site.folder, prefix, variation.python)
    work = Path(tempfile.mkdtemp(dir=site.folder))
    host = Host(work / "home", site.code, python, prefix, {"HOME": "/nowhere", **variation.environ})
    new_host(host.root, site.downloads)
    before = os.umask(variation.umask)
    try:
        spec = write_project(work / "another folder")
        shutil.copy(site.spec.with_name("pylock.toml"), spec.parent)
        if prefix:
            subprocess.run(["chown", "-R", "65534:65534", work], check=True)
        digest = host.build(spec, f"oci:{work / 'image'}")
    finally:
        os.umask(before)
    layers = layers_of(work / "image")
    shutil.rmtree(work)
    assert digest.startswith("sha256:")
    return layers


def write_project(folder: Path) -> Path:
    """A spec, and sources with a little of everything; returns the spec's path."""
    package = folder / "src" / "pkg"
    package.mkdir(parents=True)
    (folder / "src" / "task.py").write_text("def double(x: int) -> int:\n    return 2 * x\n")
    (package / "größe.txt").write_text("ß\n", encoding="utf-8")
    (package / "run.sh").write_text("#!/bin/sh\n")
    (package / "run.sh").chmod(0o700)
    (folder / "src" / "link").symlink_to("pkg/run.sh")
    spec = folder / "spec.yaml"
    spec.write_text(SPEC, encoding="utf-8")
    return spec
