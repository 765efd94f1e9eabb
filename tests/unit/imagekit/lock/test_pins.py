# SPDX-License-Identifier: Apache-2.0
"""Locks of other tools: what of them reaches an image."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.errors import LockError
from imagekit.lock.model import Target
from imagekit.lock.pins import read_pins
from imagekit.lock.resolve import resolve_packages
from imagekit.lock.sources.builder import SourceBuilder
from imagekit.progress import Silent
from imagekit.spec.digest import spec_digest
from imagekit.spec.model import ImageSpec

TARGET = Target("linux/amd64", "3.11.2", "/usr/bin/python3", "2.36")

UV = """
version = 1
requires-python = ">=3.10"

[[package]]
name = "project"
source = { editable = "." }
dependencies = [
    { name = "twice", version = "1.0", marker = "python_full_version < '3.11'" },
    { name = "twice", version = "2.0", marker = "python_full_version >= '3.11'" },
    { name = "windows", marker = "sys_platform == 'win32'" },
    { name = "member" },
]
[package.optional-dependencies]
plot = [{ name = "drawing", extra = ["color"] }]
[package.dev-dependencies]
dev = [{ name = "testing" }]

[[package]]
name = "member"
source = { editable = "packages/member" }
dependencies = [{ name = "deep" }]
"""


def uv_package(name: str, version: str = "1.0", more: str = "") -> str:
    wheel = f'{{ url = "{name}.whl", hash = "sha256:{name}{version}" }}'
    head = f'[[package]]\nname = "{name}"\nversion = "{version}"\n'
    return f'{head}source = {{ registry = "index" }}\nwheels = [{wheel}]\n{more}\n'


UV_LOCK = (
    UV
    + uv_package("twice")
    + uv_package("twice", "2.0", 'dependencies = [{ name = "deep" }]')
    + uv_package("deep", more='dependencies = [{ name = "twice", version = "2.0" }]')
    + uv_package("windows")
    + uv_package("drawing", more='[package.optional-dependencies]\ncolor = [{ name = "palette" }]')
    + uv_package("palette")
    + uv_package("testing")
)

POETRY = """
[[package]]
name = "Base.Package"
version = "1.0"
optional = false
groups = ["main", "dev"]
files = [
    {file = "base-1.0.whl", hash = "sha256:b1"},
    {file = "base-1.0.tar.gz", hash = "sha256:b2"},
]

[[package]]
name = "drawing"
version = "2.0"
optional = true
groups = ["main"]
markers = "extra == 'plot'"
files = [{file = "drawing.whl", hash = "sha256:d"}]
[package.dependencies]
palette = "*"

[[package]]
name = "palette"
version = "3.0"
optional = true
groups = ["main"]
files = [{file = "palette.whl", hash = "sha256:p"}]

[[package]]
name = "testing"
version = "4.0"
optional = false
groups = ["dev"]
files = [{file = "testing.whl", hash = "sha256:t"}]

[[package]]
name = "windows"
version = "5.0"
optional = false
groups = ["main", "dev"]
files = [{file = "windows.whl", hash = "sha256:w"}]
[package.markers]
main = "sys_platform == 'win32'"
dev = "sys_platform == 'linux'"

[extras]
plot = ["drawing (>=1)"]

[metadata]
lock-version = "2.1"
"""

PYLOCK = """
lock-version = "1.0"
extras = ["plot"]
dependency-groups = ["dev", "usual"]
default-groups = ["usual"]
created-by = "tests"

[[packages]]
name = "base"
version = "1.0"
wheels = [{name = "base.whl", hashes = {sha256 = "b"}}]

[[packages]]
name = "drawing"
version = "2.0"
marker = "'plot' in extras"
wheels = [{name = "drawing.whl", hashes = {sha256 = "d"}}]

[[packages]]
name = "testing"
version = "4.0"
marker = "'dev' in dependency_groups or sys_platform == 'win32'"
wheels = [{name = "testing.whl", hashes = {sha256 = "t"}}]

[[packages]]
name = "always"
version = "5.0"
marker = "'usual' in dependency_groups"
wheels = [{name = "always.whl", hashes = {sha256 = "a"}}]
"""
TEXTS = {"uv.lock": UV_LOCK, "poetry.lock": POETRY, "pylock.toml": PYLOCK}


def pinned(folder: Path, name: str, text: str | None = None, **members: list[str]) -> set[str]:
    path = folder / name
    path.write_text(TEXTS[name] if text is None else text)
    spec = ImageSpec(requirements=name, **members)  # type: ignore[arg-type]
    return {pin.requirement for pin in read_pins(path, spec, TARGET)}


@pytest.mark.parametrize(
    ("name", "plain", "plot", "dev"),
    [
        ("uv.lock", {"twice==2.0", "deep==1.0"}, {"drawing==1.0", "palette==1.0"},
         {"testing==1.0"}),
        ("poetry.lock", {"base-package==1.0"}, {"drawing==2.0", "palette==3.0"},
         {"testing==4.0", "windows==5.0"}),
        ("pylock.toml", {"base==1.0", "always==5.0"}, {"drawing==2.0"}, {"testing==4.0"}),
    ],
)  # fmt: skip
def test_extras_and_groups_choose_from_a_lock(
    tmp_path: Path, name: str, plain: set[str], plot: set[str], dev: set[str]
) -> None:
    """Nothing but the project's own needs unasked; markers are those of the target."""
    assert pinned(tmp_path, name) == plain
    assert pinned(tmp_path, name, extras=["plot"]) == plain | plot
    assert pinned(tmp_path, name, groups=["dev"]) == plain | dev
    assert pinned(tmp_path, name, extras=["plot"], groups=["dev"]) == plain | plot | dev


@pytest.mark.parametrize("name", TEXTS)
def test_a_lock_keeps_its_hashes(tmp_path: Path, name: str) -> None:
    """Those of wheels: an image holds nothing else."""
    path = tmp_path / name
    path.write_text(TEXTS[name])
    pins = read_pins(path, ImageSpec(requirements=name), TARGET)
    expected = {"uv.lock": "deep1.0", "poetry.lock": "b1", "pylock.toml": "b"}
    assert all(len(pin.sha256) == 1 for pin in pins)
    assert expected[name] in {digest for pin in pins for digest in pin.sha256}


@pytest.mark.parametrize("name", TEXTS)
def test_other_hashes_than_those_an_image_is_held_to_are_refused(tmp_path: Path, name: str) -> None:
    """Nobody would look at them."""
    text = TEXTS[name].replace("sha256:", "sha512:").replace("sha256 =", "sha512 =")
    with pytest.raises(LockError, match="has hashes, and none is a sha256"):
        pinned(tmp_path, name, text)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("kind", ["extra", "group"])
def test_what_a_lock_does_not_have_is_told(tmp_path: Path, name: str, kind: str) -> None:
    """With what it has."""
    with pytest.raises(LockError, match=f"has no {kind} 'plt'") as caught:
        pinned(tmp_path, name, **{f"{kind}s": ["plt"]})  # type: ignore[arg-type]
    assert caught.value.hint is not None
    assert ("plot" if kind == "extra" else "dev") in caught.value.hint


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("uv.lock", "version = [", "does not read"),
        ("uv.lock", "version = 9", "has version 9"),
        ("uv.lock", "version = 1", "names no project"),
        ("uv.lock", "version = 1\n[[package]]\nname = 'x'", "is not as uv writes it"),
        ("uv.lock", UV, "lacks"),
        ("poetry.lock", "[metadata]\nlock-version = '2.0'", "what is for development"),
        ("poetry.lock", "[metadata]", "is not as poetry writes it"),
        ("pylock.toml", "a = 1", "no lock-version"),
        ("pylock.toml", PYLOCK.replace('wheels = [{name = "base', 'sdists = [{name = "base'),
         "is not as pylock writes it"),
        ("pylock.toml", PYLOCK.replace('name = "base"', 'name = "base"\nvcs = {type = "hg"}'),
         "base comes from hg"),
        ("pylock.toml", PYLOCK.replace("'plot' in extras", "plot !"), "does not read"),
    ],
)  # fmt: skip
def test_a_lock_that_an_image_can_not_be_made_of_is_refused(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    """With the package and the reason."""
    with pytest.raises(LockError, match=said):
        pinned(tmp_path, name, text)


def test_repositories_and_sdists_of_a_lock_are_taken(tmp_path: Path) -> None:
    """At the commit and with the hash that it has; what is built of them is told elsewhere."""
    commit = "c" * 40
    sdist = 'sdist = { url = "sdist.tar.gz", hash = "sha256:s" }'
    uv = '[[package]]\nname = "sdist"\nversion = "1.0"\nsource = { registry = "index" }\n' + sdist
    repository = f"https://host.example/x?subdirectory=y&rev=main#{commit}"
    git = uv_package("git").replace('registry = "index"', f'git = "{repository}"')
    root = (
        UV.partition("dependencies = ")[0]
        + 'dependencies = [{ name = "sdist" }, { name = "git" }]\n'
    )
    expected = f"git @ git+https://host.example/x@{commit}#subdirectory=y"
    assert pinned(tmp_path, "uv.lock", f"{root}{uv}\n{git}") == {"sdist==1.0", expected}
    reference = (
        f'[package.source]\ntype = "git"\nurl = "https://host.example/x"\n'
        f'resolved_reference = "{commit}"\nsubdirectory = "y"\n'
    )
    base = POETRY.replace("[[package]]", reference + "[[package]]", 2).replace(reference, "", 1)
    assert pinned(tmp_path, "poetry.lock", base) == {
        f"base-package @ git+https://host.example/x@{commit}#subdirectory=y"
    }
    vcs = f'vcs = {{type = "git", url = "https://host.example/x", commit-id = "{commit}"}}'
    pylock = PYLOCK.replace('wheels = [{name = "base.whl", hashes = {sha256 = "b"}}]', vcs)
    assert f"base @ git+https://host.example/x@{commit}" in pinned(tmp_path, "pylock.toml", pylock)


def test_a_changed_lock_makes_ours_stale(tmp_path: Path) -> None:
    """And so does another choice from it."""
    path = tmp_path / "uv.lock"
    path.write_text(UV_LOCK)
    specs = [
        ImageSpec(requirements="uv.lock"),
        ImageSpec(requirements="uv.lock", extras=["plot"]),
        ImageSpec(requirements="uv.lock", groups=["plot"]),
    ]
    digests = {spec_digest(spec, tmp_path) for spec in specs}
    path.write_text(UV_LOCK + "#")
    digests.add(spec_digest(specs[0], tmp_path))
    assert len(digests) == 4


def test_packages_that_a_lock_excludes_are_refused(tmp_path: Path) -> None:
    """Nothing is resolved: the lock's version would win without a word."""
    (tmp_path / "uv.lock").write_text(UV_LOCK)
    spec = ImageSpec(requirements="uv.lock", packages=["Deep>=2"])
    with pytest.raises(LockError, match=r"packages wants Deep>=2, and uv.lock has deep==1.0"):
        resolve_packages(
            spec,
            tmp_path,
            TARGET,
            preferences=(),
            sources=SourceBuilder(spec, tmp_path, Silent(), {}),
            environ={},
        )
