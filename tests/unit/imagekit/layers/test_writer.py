# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib

import pytest

from imagekit.errors import IntegrityError
from imagekit.layers import tar
from imagekit.layers.writer import LayerWriter


def deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return compressor.compress(data) + compressor.flush()


def test_what_is_written_is_read_back_by_the_standard_library() -> None:
    """Files, spliced files, links and folders come back from a layer as they went in."""
    sink = io.BytesIO()
    writer = LayerWriter(sink)
    long_name = "opt/" + "ü" * 120 + "/x"
    body = bytes(range(256)) * 9000
    writer.file("opt/a", b"hello", mode=0o755, uid=1000, gid=5)
    writer.spliced(long_name, len(body), zlib.crc32(body), [deflated(body)])
    writer.symlink("opt/link", "../" + "y" * 150)
    writer.hard_link("opt/hard", "opt/a")
    writer.file("empty", b"")
    written = writer.finish()

    with tarfile.open(fileobj=io.BytesIO(sink.getvalue()), mode="r:gz") as archive:
        members = {member.name: member for member in archive}
        found = archive.extractfile(members[long_name])
        assert found is not None
        assert body == found.read()
    assert (0o755, 1000, 5, 5, tar.MTIME) == (
        members["opt/a"].mode,
        members["opt/a"].uid,
        members["opt/a"].gid,
        members["opt/a"].size,
        members["opt/a"].mtime,
    )
    assert "../" + "y" * 150 == members["opt/link"].linkname
    hard = members["opt/hard"]
    assert (hard.islnk(), hard.mode, hard.uid, hard.gid) == (True, 0o755, 1000, 5)
    assert members["opt"].isdir()
    assert written.size_bytes == len(sink.getvalue())


def test_digest_and_diff_id_are_of_the_compressed_and_the_plain_bytes() -> None:
    """A finished layer is named by the sha256 of what an engine downloads, and of its tar."""
    sink = io.BytesIO()
    writer = LayerWriter(sink)
    writer.file("a", b"x" * 5_000_000)
    written = writer.finish()
    plain = gzip.decompress(sink.getvalue())

    assert written.digest == "sha256:" + hashlib.sha256(sink.getvalue()).hexdigest()
    assert written.diff_id == "sha256:" + hashlib.sha256(plain).hexdigest()


@pytest.mark.parametrize(
    ("size_change", "crc_change", "tail"),
    [(1, 0, b""), (-1, 0, b""), (0, 1, b""), (0, 0, b"more"), (-40_000, 0, b"")],
    ids=["too short", "too long", "wrong crc", "trailing bytes", "much too long"],
)
def test_a_stream_that_is_not_as_announced_is_refused(
    size_change: int, crc_change: int, tail: bytes
) -> None:
    """Size, CRC and end of a spliced stream are checked, whoever announced them."""
    body = b"abc" * 20_000
    writer = LayerWriter(io.BytesIO())

    with pytest.raises(IntegrityError):
        writer.spliced(
            "a", len(body) + size_change, zlib.crc32(body) ^ crc_change, [deflated(body) + tail]
        )


def test_a_truncated_stream_is_refused() -> None:
    """A deflate stream without its end is an error, also when enough bytes came out."""
    body = b"abc" * 20_000
    writer = LayerWriter(io.BytesIO())

    with pytest.raises(IntegrityError):
        writer.spliced("a", len(body), zlib.crc32(body), [deflated(body)[:-1]])


def test_what_is_not_deflate_is_refused() -> None:
    """Bytes that are no deflate stream are an IntegrityError, not the decompressor's own."""
    writer = LayerWriter(io.BytesIO())

    with pytest.raises(IntegrityError):
        writer.spliced("a", 5, 0, [b"\xff\xff\xff\xff"])


@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../x", "a//b", "", "a\0b", "./a"])
def test_paths_that_leave_the_image_are_refused(path: str) -> None:
    """No member of a layer can name a place outside it."""
    with pytest.raises(IntegrityError):
        LayerWriter(io.BytesIO()).file(path, b"")


def test_a_path_is_written_once() -> None:
    """The same path twice in a layer is an error: which one counts would be left to the engine."""
    writer = LayerWriter(io.BytesIO())
    writer.file("a", b"")

    with pytest.raises(IntegrityError):
        writer.file("a", b"")


def test_a_file_that_shrinks_while_it_is_written_is_noticed() -> None:
    """A stream that gives fewer bytes than announced would shift all that follows."""
    with pytest.raises(IntegrityError):
        LayerWriter(io.BytesIO()).stream("a", 10, [b"123"])


def test_sizes_beyond_what_ustar_holds_go_into_a_pax_record() -> None:
    """A file of 8 GiB and more has its size in the extended header."""
    block = tar.header(tar.Entry("big", size_bytes=9 << 30))
    info = tarfile.TarFile.open(fileobj=io.BytesIO(block + tar.END)).next()

    assert info is not None
    assert 9 << 30 == info.size
