# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv
import os
import stat
from pathlib import Path

import pytest

from imagekit.engines import ENGINES, Mount, output_directory, run_image
from imagekit.engines.container import mount_option
from imagekit.engines.copies import instead_of_mounts
from imagekit.engines.namespaces import forbidding_switch
from imagekit.engines.run import load_engine
from imagekit.engines.users import Identity, find_identity
from imagekit.errors import EngineError
from tests.fakes.images import file_layer, image_of

PASSWD = b"root:x:0:0::/root:/bin/sh\ntask:x:1000:0::/home/task:/bin/sh\nbroken\nbad:x:y:z:::\n"
GROUP = b"root:x:0:\nextra:x:2000:other,task\nwheel:x:10:task\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "root/etc/passwd").write_bytes(PASSWD)
    (tmp_path / "root/etc/group").write_bytes(GROUP)
    return tmp_path / "root"


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", Identity(0, 0, (0,), "/root")),
        ("task", Identity(1000, 0, (0, 10, 2000), "/home/task")),
        ("1000", Identity(1000, 0, (0, 10, 2000), "/home/task")),
        ("1000:0", Identity(1000, 0, (), "/home/task")),
        ("task:extra", Identity(1000, 2000, (), "/home/task")),
        ("4711", Identity(4711, 0, (0,), "/")),
        ("4711:815", Identity(4711, 815, (), "/")),
    ],
)
def test_a_user_is_who_the_image_says(root: Path, user: str, expected: Identity) -> None:
    """Names and numbers are looked up in the image's own files; unknown numbers are taken."""
    assert find_identity(root, user) == expected


@pytest.mark.parametrize("user", ["nobody", "bad", "task:nothing", "-1"])
def test_an_unknown_name_is_an_error(root: Path, user: str) -> None:
    """Nothing is guessed for a name that the image does not know."""
    with pytest.raises(EngineError, match="is not in its /etc/"):
        find_identity(root, user)


def test_accounts_are_read_inside_the_image(root: Path, tmp_path: Path) -> None:
    """A link to the machine's own accounts leads nowhere, one inside the image is followed."""
    (tmp_path / "passwd").write_bytes(PASSWD.replace(b":1000:", b":7:"))
    (root / "etc/passwd").rename(root / "accounts")
    (root / "etc/passwd").symlink_to("/../accounts")
    assert find_identity(root, "task").uid == 1000
    (root / "etc/passwd").unlink()
    (root / "etc/passwd").symlink_to(tmp_path / "passwd")
    with pytest.raises(EngineError):
        find_identity(root, "task")


def test_every_engine_of_the_table_is_there() -> None:
    """Each line of the table leads to an engine that can be asked."""
    for name in ENGINES:
        reason = load_engine(name, os.environ).probe()
        assert reason is None or reason.strip()


def test_an_unknown_engine_is_an_error(tmp_path: Path) -> None:
    """The error lists the engines."""
    with pytest.raises(EngineError, match="no engine 'lxc'") as caught:
        run_image(image_of(file_layer(tmp_path, {"a": b""})), ["a"], engine="lxc")
    assert caught.value.hint == "one of: auto, docker, podman, userns, chroot"


def test_engines_that_are_not_there_say_what_is_missing(tmp_path: Path) -> None:
    """With nothing on PATH the programs' engines name their programs."""
    for name in ("docker", "podman"):
        reason = load_engine(name, {"PATH": str(tmp_path)}).probe()
        assert reason == f"no program '{name}' on PATH"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("user/max_user_namespaces", "0\n", "the kernel has user.max_user_namespaces = 0"),
        (
            "kernel/unprivileged_userns_clone",
            "0\n",
            "the kernel has kernel.unprivileged_userns_clone = 0",
        ),
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1\n",
            "the kernel has kernel.apparmor_restrict_unprivileged_userns = 1",
        ),
        ("user/max_user_namespaces", "100\n", "no kernel switch forbids it"),
    ],
)
def test_the_kernel_switch_is_named(tmp_path: Path, name: str, value: str, expected: str) -> None:
    """Where a setting forbids namespaces, the error has its name and value."""
    setting = tmp_path / name
    setting.parent.mkdir(parents=True)
    setting.write_text(value)
    assert forbidding_switch(tmp_path).startswith(expected)


@pytest.mark.parametrize("name", ["plain", "with,comma", 'with"quote', "with space"])
def test_mounts_are_one_line_of_csv(tmp_path: Path, name: str) -> None:
    """Any path of this machine can be mounted."""
    (fields,) = csv.reader([mount_option(Mount(tmp_path / name, "/in", read_only=True))])
    assert fields == ["type=bind", f"source={tmp_path / name}", "target=/in", "readonly"]


def test_outputs_can_be_written_by_anyone_inside_and_by_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Open to every user, in a folder that is closed; gone afterwards."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with output_directory() as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o777
        assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert not folder.parent.exists()


def test_copies_stand_in_for_mounts(root: Path, tmp_path: Path) -> None:
    """Folders are copied in, and only those that may be written come back."""
    for name in ("read", "write"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "before").write_text(name)
    mounts = [Mount(tmp_path / "read", "/in", read_only=True), Mount(tmp_path / "write", "/a/out")]
    with instead_of_mounts(root, mounts):
        assert (root / "in/before").read_text() == "read"
        (root / "in/new").write_text("x")
        (root / "a/out/new").write_text("x")
    assert not (tmp_path / "read/new").exists()
    assert (tmp_path / "write/new").read_text() == "x"


def test_copies_stay_inside_the_image(root: Path, tmp_path: Path) -> None:
    """A link in the image where a folder is to be mounted is followed in the image alone."""
    (tmp_path / "outside").mkdir()
    (root / "out").symlink_to(tmp_path / "outside")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").write_text("x")
    with instead_of_mounts(root, [Mount(tmp_path / "mine", "/out")]):
        assert list((tmp_path / "outside").iterdir()) == []
