# SPDX-License-Identifier: Apache-2.0
"""Requirements that name source, and their spelling."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imagekit.errors import SpecError
from imagekit.spec.addresses import addresses
from imagekit.spec.model import ImageSpec
from imagekit.spec.requirement import UnusableRequirementError
from imagekit.spec.source import Source, canonical, find_source
from imagekit.spec.source_tree import members, tree_digest
from imagekit.urls import with_credentials

URL = "https://me:secret@host.example"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("./lib", Source("directory", "", (), "./lib")),
        (".", Source("directory", "", (), ".")),
        ("../a/lib/[x, a]", Source("directory", "", ("a", "x"), "../a/lib")),
        ("/srv/lib", Source("directory", "", (), "/srv/lib")),
        ("My_Lib[x] @ ./lib", Source("directory", "my-lib", ("x",), "./lib")),
        ("a @ file:///srv/li%20b", Source("directory", "a", (), "/srv/li b")),
        ("./a-1.tar.gz", Source("archive", "", (), "./a-1.tar.gz")),
        (f"a @ {URL}/a-1.zip#sha256=AB&subdirectory=x",
         Source("archive", "a", (), f"{URL}/a-1.zip", "", "x", "ab")),
        (f"git+{URL}/a.git@v1#egg=A&subdirectory=b/c",
         Source("vcs", "a", (), f"{URL}/a.git", "v1", "b/c")),
        ("a @ git+ssh://git@host.example/a@refs/pull/1/head ; python_version > '3'",
         Source("vcs", "a", (), "ssh://git@host.example/a", "refs/pull/1/head",
                marker='python_version > "3"')),
        ("git+file:///srv/a", Source("vcs", "", (), "file:///srv/a")),
    ],
)  # fmt: skip
def test_what_names_source(text: str, expected: Source) -> None:
    """Folders, archives and git repositories."""
    assert find_source(text) == expected


@pytest.mark.parametrize(
    "text",
    ["numpy", "a>=1; python_version > '3'", "./a-1-py3-none-any.whl", f"a @ {URL}/a-1-b-c-d.whl"],
)
def test_what_names_no_source(text: str) -> None:
    """Releases and wheels."""
    assert find_source(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "git+ext::sh -c x",
        "git+https:///a",
        "git+ssh://git@host.example:me/a",
        "git+https://host.example/a@--upload-pack=x",
        "git+https://host.example/a@v1..v2",
        "git+https://host.example/a#subdirectory=../x",
        "git+https://host.example/a#egg=entrypoint",
        f"a @ {URL}/a.tar.gz#subdirectory=/x",
        "git+https://host.example/a ; nonsense",
    ],
)
def test_what_git_must_not_be_told(text: str) -> None:
    """Options, other transports, ways out, and names that are the runtime's."""
    with pytest.raises(UnusableRequirementError):
        find_source(text)


def test_credentials_are_no_part_of_it() -> None:
    """Neither of what is compared nor of what is shown; of SSH the account is kept."""
    for text in (f"a @ git+{URL}/a@v1", f"a @ {URL}/a-1.tar.gz?token=secret"):
        source = find_source(text)
        assert source is not None
        assert "secret" not in f"{canonical(text)} {source}"
    ssh = find_source("git+ssh://git:secret@host.example/a")
    assert ssh is not None
    assert ssh.public == "ssh://git@host.example/a"


def test_credentials_of_a_repository_are_for_it_alone(tmp_path: Path) -> None:
    """Not for wheels that lie on the same server."""
    spec = ImageSpec(packages=[f"a @ git+{URL}/a@v1", f"b @ {URL}/b-1.tar.gz"])
    known = addresses(spec, tmp_path)
    assert with_credentials("git+https://host.example/a", known) == f"git+{URL}/a"
    assert with_credentials("https://host.example/b-1.tar.gz", known) == f"{URL}/b-1.tar.gz"
    for other in ("https://host.example/c-1.whl", "git+https://host.example/c"):
        assert with_credentials(other, known) == other


def test_a_project_is_its_files(tmp_path: Path) -> None:
    """Content, names, links and what may be run; not times, and not what tools leave."""
    root = tmp_path / "lib"
    (root / "package").mkdir(parents=True)
    (root / "package" / "a.py").write_text("a")
    (root / "link").symlink_to("package/a.py")
    (tmp_path / "README").write_text("outside")
    (root / "README").symlink_to("../README")
    digests = [tree_digest(root)]
    for name in ("__pycache__", ".git", "x.egg-info", "build", "dist", ".venv"):
        (root / name).mkdir()
        (root / name / "x").write_text("x")
    os.utime(root / "package" / "a.py", (1, 1))
    assert tree_digest(root) == digests[0]
    assert [each.path for each in members(root)] == ["README", "link", "package/a.py"]
    (root / "package" / "a.py").chmod(0o755)
    digests.append(tree_digest(root))
    (tmp_path / "README").write_text("other")
    digests.append(tree_digest(root))
    (root / "build" / "__init__.py").write_text("")
    digests.append(tree_digest(root))
    assert len(set(digests)) == 4
    (root / "out").symlink_to("/etc")
    with pytest.raises(SpecError, match="leads out of the project"):
        tree_digest(root)
