# SPDX-License-Identifier: Apache-2.0
"""Mirrors come from the caller, else the environment, else the machine's apt sources."""

from pathlib import Path
from typing import Any

import pytest

from imagekit.debian.sources import Mirrors, find_mirrors
from imagekit.errors import FetchError

DEB822 = """\
Types: deb deb-src
URIs: http://mirror.test/debian/
Suites: bookworm bookworm-updates
Components: main
# a comment

Types: deb
URIs: http://mirror.test/security
Suites: bookworm-security
Components: main contrib
"""
ONE_LINE = """\
# deb http://commented.test/debian bookworm main
deb [arch=amd64 signed-by=/x.gpg] http://line.test/debian trixie main contrib # note
deb http://line.test/security trixie-security main
deb http://other.test/apt cloud-tools main
deb http://docker.test/linux bookworm stable
"""


def _apt(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / "apt" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return tmp_path / "apt"


def test_deb822_sources_are_read(tmp_path: Path) -> None:
    """Each URI counts once, as the mirror of packages or of security updates."""
    apt = _apt(tmp_path, "sources.list.d/debian.sources", DEB822)
    assert find_mirrors({}, apt_directory=apt) == Mirrors(
        ("http://mirror.test/debian",), ("http://mirror.test/security",)
    )


def test_one_line_sources_are_read(tmp_path: Path) -> None:
    """Comments, and what serves no Debian release, are left out."""
    apt = _apt(tmp_path, "sources.list", ONE_LINE)
    assert find_mirrors({}, apt_directory=apt) == Mirrors(
        ("http://line.test/debian",), ("http://line.test/security",)
    )


def test_a_disabled_source_is_none(tmp_path: Path) -> None:
    """`Enabled: no` is honoured."""
    apt = _apt(tmp_path, "sources.list.d/a.sources", "Enabled: no\n" + DEB822)
    with pytest.raises(FetchError):
        find_mirrors({}, apt_directory=apt)


def test_a_mirror_list_file_is_followed(tmp_path: Path) -> None:
    """A `mirror+file:` URI stands for those in its file."""
    listed = tmp_path / "mirrors.list"
    listed.write_text("http://first.test/debian\tpriority:1\n# no\nhttp://second.test/debian\n")
    apt = _apt(tmp_path, "sources.list", f"deb mirror+file:{listed} bookworm main\n")
    mirrors = find_mirrors(
        {}, {"debian_security_mirror": "http://security.test"}, apt_directory=apt
    )
    assert mirrors.main == ("http://first.test/debian", "http://second.test/debian")


def test_the_environment_is_before_apt_and_the_caller_before_both(tmp_path: Path) -> None:
    """The nearer word wins, for each of the two mirrors on its own."""
    apt = _apt(tmp_path, "sources.list.d/debian.sources", DEB822)
    environ = {
        "IMAGEKIT_DEBIAN_MIRROR": "https://environment.test/debian",
        "IMAGEKIT_DEBIAN_SECURITY_MIRROR": "https://environment.test/security",
    }
    mirrors = find_mirrors(environ, {"debian_mirror": "file:///srv/debian"}, apt_directory=apt)
    assert mirrors == Mirrors(("file:///srv/debian",), ("https://environment.test/security",))


def test_none_found_says_what_to_set(tmp_path: Path) -> None:
    """No host is built in; the error names the variable."""
    with pytest.raises(FetchError) as caught:
        find_mirrors({}, apt_directory=tmp_path)
    assert "IMAGEKIT_DEBIAN_MIRROR" in (caught.value.hint or "")


def test_a_uri_of_another_kind_is_refused(tmp_path: Path) -> None:
    """Only what can be fetched is a mirror."""
    with pytest.raises(FetchError):
        find_mirrors(
            {},
            {"debian_mirror": "ftp://old.test", "debian_security_mirror": "x"},
            apt_directory=tmp_path,
        )


@pytest.mark.parametrize(
    ("conf", "field", "variable", "checked"),
    [
        ("", "", "", True),
        ('Acquire::Check-Valid-Until "false";\n', "", "", False),
        ('// Acquire::Check-Valid-Until "false";\n', "", "", True),
        ("", "Check-Valid-Until: no\n", "", False),
        ('Acquire::Check-Valid-Until "false";\n', "Check-Valid-Until: yes\n", "", True),
        ("", "", "no", False),
        ('Acquire::Check-Valid-Until "false";\n', "", "yes", True),
    ],
)
def test_expiry_is_checked_unless_someone_said_not_to(
    tmp_path: Path, conf: Any, field: Any, variable: Any, checked: Any
) -> None:
    """apt's own settings count for its sources; the environment has the last word."""
    _apt(tmp_path, "apt.conf.d/99local", conf)
    text = DEB822.replace("Types: deb", f"{field}Types: deb")
    apt = _apt(tmp_path, "sources.list.d/debian.sources", text)
    environ = {"IMAGEKIT_DEBIAN_CHECK_VALID_UNTIL": variable} if variable else {}
    assert find_mirrors(environ, apt_directory=apt).check_valid_until is checked
