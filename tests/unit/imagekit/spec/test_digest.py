# SPDX-License-Identifier: Apache-2.0
"""When a lock has to be made again."""

from pathlib import Path
from typing import Any

import pytest

from imagekit.spec.digest import spec_digest
from imagekit.spec.model import ImageSpec


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    (tmp_path / "requirements.txt").write_text("numpy\n-r more.txt\n")
    (tmp_path / "more.txt").write_text("pandas\n")
    return tmp_path


FULL: dict[str, Any] = {
    "packages": ["a>=1", "b"],
    "requirements": "requirements.txt",
    "pip_index": "https://user:one@index.example/simple",
}


@pytest.mark.parametrize(
    "change",
    [
        {"packages": ["a>=2", "b"]},
        {"packages": ["ab"]},
        {"python_version": "3.13"},
        {"platform": "linux/arm64"},
        {"base_image": "oci:base"},
        {"requirements": None},
        {"pip_index": "https://other.example/simple"},
        {"pip_extra_index_url": ["https://more.example/simple"]},
        {"builder_options": {"debian_mirror": "https://deb.example"}},
    ],
)
def test_what_decides_a_resolution_is_in_the_digest(change: Any, folder: Path) -> None:
    """Each of these makes a lock stale."""
    assert spec_digest(ImageSpec(**{**FULL, **change}), folder) != spec_digest(
        ImageSpec(**FULL), folder
    )


@pytest.mark.parametrize(
    "change",
    [
        {"packages": ["B", "A >= 1", "b"]},
        {"name": "other"},
        {"env": {"A": "1"}},
        {"labels": {"a": "b"}},
        {"entrypoint": ["x"]},
        {"user": "0"},
        {"base_image": "debian"},
        {"pip_index": "https://user:two@index.example/simple"},
    ],
)
def test_what_does_not_decide_a_resolution_is_not(change: Any, folder: Path) -> None:
    """None of these does, a changed password least of all."""
    assert spec_digest(ImageSpec(**{**FULL, **change}), folder) == spec_digest(
        ImageSpec(**FULL), folder
    )


def test_included_requirements_count_and_comments_do_not(folder: Path) -> None:
    """The digest is of what the files say, with what they include."""
    before = spec_digest(ImageSpec(**FULL), folder)
    (folder / "more.txt").write_text("# tables\n\npandas   # for tables\n")
    assert spec_digest(ImageSpec(**FULL), folder) == before
    (folder / "more.txt").write_text("pandas<3\n")
    assert spec_digest(ImageSpec(**FULL), folder) != before


def test_the_folder_itself_does_not_count(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The same project elsewhere keeps its lock."""
    other = tmp_path_factory.mktemp("elsewhere")
    for name in ("requirements.txt", "more.txt"):
        (other / name).write_bytes((folder / name).read_bytes())
    assert spec_digest(ImageSpec(**FULL), folder) == spec_digest(ImageSpec(**FULL), other)


def test_passwords_in_requirements_do_not_count(folder: Path) -> None:
    """Neither in a URL of a package nor in one of a file: nobody can guess them from the lock."""

    def digest(password: str) -> str:
        userinfo = f"user:{password}"
        (folder / "more.txt").write_text(f"--index-url https://{userinfo}@index.example/simple\n")
        url = f"https://{userinfo}@files.example/x-1-py3-none-any.whl"
        spec = ImageSpec(packages=[f"x @ {url}"], requirements="requirements.txt")
        return spec_digest(spec, folder)

    assert digest("one") == digest("two")
