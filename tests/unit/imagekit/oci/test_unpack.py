# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imagekit.errors import IntegrityError
from imagekit.layers.writer import LayerWriter
from imagekit.oci.layer import FileLayer
from imagekit.oci.scratch import remove_tree
from imagekit.oci.unpack import Limits, cached_root, unpack
from tests.fakes.images import file_layer, image_of, make_layer, raw_layer, tar_layer

Member = tuple[tarfile.TarInfo, bytes]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "jail" / "root"
    folder.mkdir(parents=True)
    yield folder
    remove_tree(folder)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """What no image may touch: beside the root, and where absolute links can lead."""
    folder = tmp_path / "jail" / "outside"
    folder.mkdir(parents=True)
    (folder / "secret").write_text("untouched")
    return folder


def member(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type = kind
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def link(name: str, target: str) -> Member:
    return member(name, tarfile.SYMTYPE, linkname=target), b""


def hard_link(name: str, target: str) -> Member:
    return member(name, tarfile.LNKTYPE, linkname=target), b""


def file(name: str, data: bytes = b"evil", **fields: Any) -> Member:
    return member(name, **fields), data


def folder(name: str, mode: int = 0o755) -> Member:
    return member(name, tarfile.DIRTYPE, mode=mode), b""


def lay(tmp_path: Path, root: Path, *layers: list[Member]) -> None:
    unpack(image_of(*(tar_layer(tmp_path, members) for members in layers)), root)


def listing(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_modes_times_and_links_are_kept(tmp_path: Path, root: Path) -> None:
    """Files come out as our writer put them in."""

    def write(writer: LayerWriter) -> None:
        writer.file("bin/run", b"#!", mode=0o755)
        writer.hard_link("bin/same", "bin/run")
        writer.symlink("link", "bin/run")
        writer.directory("shared", mode=0o1777)
        writer.directory("closed", mode=0o555)
        writer.file("closed/inside", b"x", mode=0o400)

    os.umask(os.umask(0o077))
    unpack(image_of(make_layer(tmp_path, write)), root)
    assert stat.S_IMODE((root / "bin/run").stat().st_mode) == 0o755
    assert (root / "bin/run").stat().st_ino == (root / "bin/same").stat().st_ino
    assert (root / "bin/run").stat().st_mtime == 315_619_200
    assert os.readlink(root / "link") == "bin/run"
    assert stat.S_IMODE((root / "shared").stat().st_mode) == 0o1777
    assert stat.S_IMODE((root / "closed").stat().st_mode) == 0o555
    assert stat.S_IMODE((root / "closed/inside").stat().st_mode) == 0o400


def test_folders_that_no_layer_lists_do_not_depend_on_the_umask(tmp_path: Path, root: Path) -> None:
    """A parent that is only implied is made with mode 755."""
    before = os.umask(0o077)
    try:
        lay(tmp_path, root, [file("a/b/c")])
    finally:
        os.umask(before)
    assert stat.S_IMODE((root / "a/b").stat().st_mode) == 0o755


def test_upper_layers_win(tmp_path: Path, root: Path) -> None:
    """A file replaces a file, a folder or a link, and a folder replaces a file."""
    lay(
        tmp_path,
        root,
        [file("a", b"1"), file("b/c", b"1"), link("l", "a"), file("d", b"1"), file("t", b"1")],
        [
            *(file(name, b"2") for name in ("a", "b", "l")),
            *(folder("d"), file("d/e", b"2"), hard_link("t", "a")),
        ],
    )
    assert listing(root) == ["a", "b", "d", "d/e", "l", "t"]
    assert {(root / name).read_bytes() for name in ("a", "b", "d/e", "l", "t")} == {b"2"}
    assert not (root / "l").is_symlink()


def test_replacing_one_name_of_a_file_keeps_the_other(tmp_path: Path, root: Path) -> None:
    """Writing over a hard link does not write through it."""
    lay(tmp_path, root, [file("a", b"1"), hard_link("b", "a")], [file("b", b"2")])
    assert (root / "a").read_bytes() == b"1"


def test_whiteouts_hide_what_is_below(tmp_path: Path, root: Path) -> None:
    """A whiteout removes a file or a whole folder of lower layers; none stays as a file."""
    lay(
        tmp_path,
        root,
        [file("a/1"), file("a/2"), file("b/x/y"), file("c")],
        [file("a/.wh.1", b""), file(".wh.b", b""), file("none/.wh.gone", b"")],
    )
    assert listing(root) == ["a", "a/2", "c"]


def test_whiteouts_leave_what_their_own_layer_adds(tmp_path: Path, root: Path) -> None:
    """Opaque and plain whiteouts hide lower layers alone, wherever they stand in the tar."""
    lay(
        tmp_path,
        root,
        [file("a/old"), file("a/sub/old"), file("b/old"), file("a/both", b"old")],
        [
            folder("a"),
            file("a/new"),
            folder("a/sub"),
            file("a/sub/new"),
            file("a/both", b"new"),
            file("a/.wh..wh..opq", b""),
            folder("b"),
            file("b/new"),
            file(".wh.b", b""),
        ],
    )
    assert listing(root) == ["a", "a/both", "a/new", "a/sub", "a/sub/new", "b", "b/new"]
    assert (root / "a/both").read_bytes() == b"new"


def test_links_of_lower_layers_are_followed_inside(tmp_path: Path, root: Path) -> None:
    """On a base where /lib is a link, what an upper layer puts in lib lands where it leads."""
    lay(
        tmp_path,
        root,
        [folder("usr/lib"), link("lib", "usr/lib"), link("abs", "/usr/lib")],
        [file("lib/one", b"1"), file("abs/two", b"2"), file("lib/sub/three", b"3")],
    )
    assert (root / "lib").is_symlink()
    assert (root / "usr/lib/one").read_bytes() == b"1"
    assert (root / "usr/lib/two").read_bytes() == b"2"
    assert (root / "usr/lib/sub/three").read_bytes() == b"3"


def test_absolute_names_are_inside(tmp_path: Path, root: Path) -> None:
    """`/etc/x` is the image's."""
    lay(tmp_path, root, [file("/etc/x"), file("./y")])
    assert listing(root) == ["etc", "etc/x", "y"]


def _link_out(outside: Path) -> list[Member]:
    return [link("out", str(outside)), file("out/secret")]


def _relative_link_out(_: Path) -> list[Member]:
    return [link("out", "../outside"), file("out/secret")]


def _chained_links_out(_: Path) -> list[Member]:
    return [folder("d"), link("d/up", ".."), link("out", "d/up/../outside"), file("out/secret")]


def _link_swapped_for_a_folder(_: Path) -> list[Member]:
    return [file("d/x"), file("d/y"), link("d", "../outside"), file("d/secret")]


def _write_through_a_final_link(outside: Path) -> list[Member]:
    return [link("f", str(outside / "secret")), file("f")]


def _chmod_through_a_link(outside: Path) -> list[Member]:
    return [link("d", str(outside)), folder("d", 0o777)]


def _whiteout_through_a_link(outside: Path) -> list[Member]:
    return [link("out", str(outside)), file("out/.wh.secret", b"")]


def _opaque_through_a_link(outside: Path) -> list[Member]:
    return [link("out", str(outside)), file("out/.wh..wh..opq", b"")]


@pytest.mark.parametrize(
    "members",
    [
        _link_out,
        _relative_link_out,
        _chained_links_out,
        _link_swapped_for_a_folder,
        _write_through_a_final_link,
        _chmod_through_a_link,
        _whiteout_through_a_link,
        _opaque_through_a_link,
    ],
)
def test_no_link_leads_outside(
    tmp_path: Path, root: Path, outside: Path, members: Callable[[Path], list[Member]]
) -> None:
    """Whatever links a layer makes, what it does through them happens inside the root."""
    mode = outside.stat().st_mode
    lay(tmp_path, root, members(outside))
    lay_again = root.parent / "again"
    lay_again.mkdir()
    both = members(outside)
    lay(tmp_path, lay_again, both[:-1], both[-1:])
    assert (outside / "secret").read_text() == "untouched"
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert outside.stat().st_mode == mode


@pytest.mark.parametrize(
    "members",
    [
        [file("../escape")],
        [file("a/../../escape")],
        [folder("..")],
        [file("x", pax_headers={"path": "a\0b"})],
        [hard_link("x", "../outside/secret")],
        [hard_link("x", "nothing")],
        [folder("d"), hard_link("x", "d")],
        [link("out", "../outside"), hard_link("x", "out/secret")],
        [file(".wh...", b"")],
        [file(".wh..", b"")],
        [file(".wh.", b"")],
        [link("a", "b"), link("b", "a"), file("a/x")],
        [file("f"), file("f/under")],
        [file("n" * 300)],
        [file("/".join("d" * 300))],
        [file("x", uid=1 << 40)],
        [file("x", uid=-1)],
    ],
    ids=range(17),
)
def test_a_hostile_member_is_refused(
    tmp_path: Path, root: Path, outside: Path, members: list[Member]
) -> None:
    """What means nothing inside a root raises IntegrityError, and nothing outside changes."""
    layer = (
        _gnu_layer(tmp_path, members)
        if members[0][0].uid not in range(1 << 31)
        else tar_layer(tmp_path, members)
    )
    with pytest.raises(IntegrityError, match="unpacking layer sha256:"):
        unpack(image_of(layer), root)
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert not (root.parent / "escape").exists()


def _gnu_layer(tmp_path: Path, members: list[Member]) -> FileLayer:
    blocks = b"".join(info.tobuf(tarfile.GNU_FORMAT) for info, _ in members)
    return raw_layer(tmp_path, blocks + b"\0" * 1024)


def test_devices_are_left_out(tmp_path: Path, root: Path) -> None:
    """Devices and FIFOs are not made; what they replace is gone."""
    lay(
        tmp_path,
        root,
        [file("dev/null", b"x"), file("ok")],
        [
            (member("dev/null", tarfile.CHRTYPE, devmajor=1, devminor=3), b""),
            (member("dev/sda", tarfile.BLKTYPE, devmajor=8, devminor=0), b""),
            (member("pipe", tarfile.FIFOTYPE), b""),
        ],
    )
    assert listing(root) == ["dev", "ok"]


def test_zeros_without_end_are_refused(tmp_path: Path, root: Path) -> None:
    """A layer of more than the limit stops at the limit."""
    layer = file_layer(tmp_path, {"zeros": b"\0" * (1 << 20)})
    with pytest.raises(IntegrityError, match="limit"):
        unpack(image_of(layer), root, Limits(layer_bytes=1 << 16))


def test_a_sparse_bomb_is_refused(tmp_path: Path, root: Path) -> None:
    """A file that says it is an exabyte of holes is not written."""
    sparse = member("bomb")
    sparse.pax_headers = {
        "GNU.sparse.major": "0",
        "GNU.sparse.minor": "1",
        "GNU.sparse.name": "bomb",
        "GNU.sparse.map": "0,0",
        "GNU.sparse.size": str(1 << 60),
    }
    with pytest.raises(IntegrityError, match="limit"):
        lay(tmp_path, root, [(sparse, b"")])


def test_too_many_members_are_refused(tmp_path: Path, root: Path) -> None:
    """The limit of members is for the whole image."""
    layers = [file_layer(tmp_path, {f"{at}": b""}) for at in range(5)]
    unpack(image_of(*layers[:4]), root, Limits(members=4))
    with pytest.raises(IntegrityError, match="limit"):
        unpack(image_of(*layers), root, Limits(members=4))


def test_a_sparse_file_is_written_whole(tmp_path: Path, root: Path) -> None:
    """Holes become zeros."""
    sparse = member("sparse")
    sparse.pax_headers = {
        "GNU.sparse.major": "0",
        "GNU.sparse.minor": "1",
        "GNU.sparse.name": "sparse",
        "GNU.sparse.map": "4,3,10,2",
        "GNU.sparse.size": "16",
    }
    lay(tmp_path, root, [(sparse, b"abcde")])
    assert (root / "sparse").read_bytes() == b"\0\0\0\0abc\0\0\0de\0\0\0\0"


@pytest.mark.parametrize("cut", [1, 600, 2000])
def test_a_cut_tar_is_refused(tmp_path: Path, root: Path, cut: int) -> None:
    """A tar that ends inside a member, or goes on with rubbish, raises IntegrityError."""
    tar = tar_layer(tmp_path, [file("a", b"x" * 3000), file("b", b"y" * 3000)])
    plain = subprocess.run(["gzip", "-dc", tar.path], capture_output=True, check=True).stdout
    # Two members of 512 + 3072 bytes each.
    with pytest.raises(IntegrityError):
        unpack(image_of(raw_layer(tmp_path, plain[: 2 * 3584 - cut])), root)
    with pytest.raises(IntegrityError):
        unpack(image_of(raw_layer(tmp_path, plain[:3584] + b"\1" * 512)), root)


def test_a_layer_that_is_not_what_was_promised_is_refused(tmp_path: Path, root: Path) -> None:
    """Digest, size and diff_id are all proved while unpacking."""
    good = file_layer(tmp_path, {"a": b"1"})
    zero = "sha256:" + "0" * 64
    for bad in (
        FileLayer(zero, good.diff_id, good.size_bytes, good.path),
        FileLayer(good.digest, zero, good.size_bytes, good.path),
        FileLayer(good.digest, good.diff_id, good.size_bytes + 1, good.path),
        FileLayer(good.digest, good.diff_id, good.size_bytes - 1, good.path),
    ):
        with pytest.raises(IntegrityError):
            unpack(image_of(bad), root)


def test_a_cached_root_is_unpacked_once(tmp_path: Path) -> None:
    """The second time nothing is read; an image with other layers has another root."""
    layer = file_layer(tmp_path, {"a": b"1"})
    cache = tmp_path / "cache"
    first = cached_root(image_of(layer), cache)
    layer.path.unlink()
    assert cached_root(image_of(layer), cache) == first
    assert cached_root(image_of(file_layer(tmp_path, {"a": b"2"})), cache) != first
    assert not list(cache.glob(".work-*"))


def test_a_failed_unpacking_leaves_no_root(tmp_path: Path) -> None:
    """What could not be unpacked whole is not in the cache afterwards."""
    image = image_of(file_layer(tmp_path, {"a": b"1"}), tar_layer(tmp_path, [file("../x")]))
    with pytest.raises(IntegrityError):
        cached_root(image, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_two_at_once_get_the_same_root(tmp_path: Path) -> None:
    """Processes that unpack one image at the same time all get a whole root."""
    program = (
        "import pathlib, sys, tempfile\n"
        "from imagekit.oci.unpack import cached_root\n"
        "from tests.fakes.images import file_layer, image_of\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    layer = file_layer(pathlib.Path(folder), {f'd/{at}': b'x' for at in range(300)})\n"
        "    root = cached_root(image_of(layer), pathlib.Path(sys.argv[1]))\n"
        "    print(root, len(list((root / 'd').iterdir())))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "cache")]
    started = [
        subprocess.Popen(command, cwd=Path(__file__).parents[4], stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    said = {process.communicate()[0] for process in started}
    assert len(said) == 1
    assert said.pop().split()[1] == b"300"


@pytest.mark.root
def test_root_keeps_owners_and_set_id_bits(tmp_path: Path, root: Path) -> None:
    """As root, owners and all of the mode are as the layer has them."""
    lay(tmp_path, root, [file("su", b"x", mode=0o4755, uid=12, gid=34)])
    found = (root / "su").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (12, 34, 0o4755)
