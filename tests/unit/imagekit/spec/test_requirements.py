# SPDX-License-Identifier: Apache-2.0
"""Requirements: one by one, and in files."""

from pathlib import Path
from typing import Any

import pytest

from imagekit.errors import SpecError
from imagekit.spec.requirement import UnusableRequirementError, parse
from imagekit.spec.requirements_file import read
from imagekit.spec.source import canonical
from imagekit.urls import masked, with_credentials, without_credentials

HASH = "a" * 64


@pytest.mark.parametrize(
    "text",
    [
        "numpy",
        "pandas[excel]>=2,<3; python_version >= '3.11'",
        "x @ https://host.example/x-1-py3-none-any.whl#sha256=" + HASH,
        "x @ file:///wheels/x-1%2Bcpu-py3-none-any.whl",
    ],
)
def test_usable_requirements(text: Any) -> None:
    """Names, extras, markers and URLs of wheels are requirements."""
    assert parse(text).name


@pytest.mark.parametrize(
    "text",
    ["", "-e .", "/wheels/x.whl", "x-1-py3-none-any.whl", "x @ s3://b/x.whl", "entrypoint[all]"],
)
def test_unusable_requirements(text: Any) -> None:
    """What can't be locked is refused before uv sees it."""
    with pytest.raises(UnusableRequirementError):
        parse(text)


def test_spelling_does_not_change_the_canonical_text() -> None:
    """Capitals, separators and order of specifiers say nothing."""
    assert canonical("Scikit_Learn >=1, <2") == canonical("scikit-learn<2,>=1")
    assert canonical("numpy") != canonical("numpy>=1")


@pytest.mark.parametrize("name", ["x-1-py3-none-any.whl", "x-1.tar.gz"])
def test_hashes_of_urls_are_refused_where_nobody_looks_at_them(name: str) -> None:
    """Of a wheel, and of an archive of source."""
    url = f"x @ https://host.example/{name}"
    assert canonical(f"{url}#sha512=00&sha256={HASH}")
    with pytest.raises(UnusableRequirementError, match="the URL has sha512 alone"):
        canonical(f"{url}#sha512=00")


def test_hashes_that_nobody_looks_at_are_refused(tmp_path: Path) -> None:
    """Beside a sha256 others are of no matter."""
    path = tmp_path / "requirements.txt"
    path.write_text(f"six\nidna==3 --hash=sha512:{HASH}\n")
    with pytest.raises(SpecError, match=r"requirements\.txt:2: 'idna==3': of its hashes none is"):
        read(path)


def test_files_are_read_with_what_they_include(tmp_path: Path) -> None:
    """Includes, constraints, continuations, comments and hashes."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "requirements.txt").write_text(
        "# all of it\n"
        "--index-url https://index.example/simple\n"
        "-r sub/more.txt\n"
        "-c limits.txt\n"
        f"Requests==2 \\\n    --hash=sha256:{HASH} \\\n    --hash=sha512:bb  # pinned\n"
    )
    (tmp_path / "sub" / "more.txt").write_text("numpy  # numbers\n-r ../requirements.txt\n")
    (tmp_path / "limits.txt").write_text("numpy<3\n")
    found = read(tmp_path / "requirements.txt")
    assert [(line.name, line.text) for line in found.requirements] == [
        ("numpy", "numpy"),
        ("requests", "Requests==2"),
    ]
    assert found.requirements[1].sha256 == {HASH}
    assert [name for name, _ in found.contents] == [
        "limits.txt",
        "requirements.txt",
        "sub/more.txt",
    ]


def test_every_unusable_line_is_named(tmp_path: Path) -> None:
    """File, line, reason and way out, for all lines at once."""
    path = tmp_path / "requirements.txt"
    path.write_text("numpy\n-e .\n-r more.txt\n-r gone.txt\n--no-binary :all:\n--pre\n")
    (tmp_path / "more.txt").write_text("\n\n-e ./x\n")
    with pytest.raises(SpecError) as caught:
        read(path)
    assert [(problem.line, problem.message) for problem in caught.value.problems] == [
        (2, "'-e .': editable installs don't fit into an image"),
        (None, "more.txt, line 3: '-e ./x': editable installs don't fit into an image"),
        (4, "gone.txt can't be read: No such file or directory"),
        (5, "'--no-binary :all:' is not supported yet"),
        (6, "'--pre' is not supported yet"),
    ]


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://host.example/simple/", "https://host.example/simple/"),
        ("https://user:pass@host.example:8443/x.whl", "https://host.example:8443/x.whl"),
        ("https://token@host.example/x.whl?sig=abc#sha256=1", "https://host.example/x.whl"),
        ("file:///wheels/x.whl", "file:///wheels/x.whl"),
    ],
)
def test_urls_lose_their_credentials(url: Any, clean: Any) -> None:
    """User, password, query and fragment go."""
    assert without_credentials(url) == clean


def test_masked_text_keeps_what_helps() -> None:
    """An explanation stays readable when its URLs lose their secrets."""
    text = "failed https://u:p@ss@host.example/a?sig=abc and file:///b for me@host.example"
    assert masked(text) == (
        "failed https://***@host.example/a?*** and file:///b for me@host.example"
    )


@pytest.mark.parametrize(
    ("index", "used"),
    [
        ("https://u:p@host.example/simple", "https://u:p@host.example/x.whl"),
        ("https://host.example/simple", "https://host.example/x.whl"),
        ("http://u:p@host.example/simple", "https://host.example/x.whl"),
        ("https://u:p@host.example:444/simple", "https://host.example/x.whl"),
        ("https://u:p@other.example/simple", "https://host.example/x.whl"),
    ],
)
def test_credentials_go_to_the_server_that_they_are_for(index: str, used: str) -> None:
    """To no other host, port or scheme."""
    assert with_credentials("https://host.example/x.whl", [index]) == used
