# SPDX-License-Identifier: Apache-2.0
"""Makes small .debs, so that packages of any shape can be met."""

import base64
import hashlib
import io
import lzma
import tarfile
from collections.abc import Iterable
from pathlib import Path

from imagekit.debian.base import DebianBase, DebPackage


def member(
    name: str, data: bytes | None = None, *, kind: bytes | None = None, **fields: object
) -> tuple[tarfile.TarInfo, bytes | None]:
    """A tar member: a directory unless `data` or `kind` says otherwise."""
    info = tarfile.TarInfo(name)
    info.type = kind or (tarfile.DIRTYPE if data is None else tarfile.REGTYPE)
    info.mode = 0o644 if data is not None else 0o755
    info.size = len(data or b"")
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def tar_bytes(members: Iterable[tuple[tarfile.TarInfo, bytes | None]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for info, data in members:
            archive.addfile(info, None if data is None else io.BytesIO(data))
    return buffer.getvalue()


def ar_bytes(members: Iterable[tuple[str, bytes]]) -> bytes:
    archive = b"!<arch>\n"
    for name, data in members:
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n"
        archive += header.encode() + data + b"\n" * (len(data) % 2)
    return archive


def deb_bytes(
    members: Iterable[tuple[tarfile.TarInfo, bytes | None]],
    control: str = "Package: sample\nVersion: 1.0\nArchitecture: amd64\n",
    **control_files: bytes,
) -> bytes:
    files = [member("./control", control.encode())]
    files += [member(f"./{name}", data) for name, data in control_files.items()]
    return ar_bytes(
        [
            ("debian-binary", b"2.0\n"),
            ("control.tar.xz", lzma.compress(tar_bytes(files))),
            ("data.tar.xz", lzma.compress(tar_bytes(members))),
        ]
    )


def certificate(name: str, tag: int = 0x0C) -> bytes:
    """As much of a certificate as has a subject: the common name `name`."""

    def element(kind: int, content: bytes) -> bytes:
        return bytes((kind, len(content))) + content

    common_name = element(0x06, b"\x55\x04\x03") + element(tag, name.encode())
    subject = element(0x30, element(0x31, element(0x30, common_name)))
    before = element(0xA0, b"\x02\x01\x02") + element(0x02, b"\x01")
    empty = element(0x30, b"")
    signed = element(0x30, before + empty * 3 + subject)
    body = base64.b64encode(element(0x30, signed))
    return b"-----BEGIN CERTIFICATE-----\n" + body + b"\n-----END CERTIFICATE-----\n"


class Debs:
    """A folder of .debs, and the base that they make."""

    def __init__(self, folder: Path) -> None:
        self.files: dict[str, Path] = {}
        self.packages: list[DebPackage] = []
        self._folder = folder

    def add(
        self,
        name: str,
        *members: tuple[tarfile.TarInfo, bytes | None],
        fields: str = "",
        **control_files: bytes,
    ) -> DebPackage:
        control = f"Package: {name}\nVersion: 1.0\nArchitecture: amd64\n{fields}"
        data = deb_bytes(members, control, **control_files)
        sha256 = hashlib.sha256(data).hexdigest()
        path = self._folder / f"{name}.deb"
        path.write_bytes(data)
        package = DebPackage(name, "1.0", "amd64", f"pool/{name}.deb", sha256, len(data))
        self.files[sha256] = path
        self.packages.append(package)
        return package

    def base(self) -> DebianBase:
        return DebianBase(
            "bookworm",
            "amd64",
            "3.11.2",
            "/usr/bin/python3.11",
            ("glibc", 2, 36),
            tuple(self.packages),
            (("bookworm", "2026-07-11T10:16:37Z"),),
        )
