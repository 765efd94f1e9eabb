# SPDX-License-Identifier: Apache-2.0
"""An archive of packages in a folder, with suites that a key made here signs: no real one."""

from __future__ import annotations

import hashlib
import lzma
import sys
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pysequoia

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from tests.unit.imagekit.debian.deb_maker import ar_bytes, member, tar_bytes


@dataclass
class AptArchive:
    """`components` of each of the suites `NAME`, `NAME-updates` and `NAME-security`."""

    folder: Path
    name: str
    components: tuple[str, ...] = ("main", "universe")
    _lists: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._key = pysequoia.Tsk.generate("Test archive <archive@mirror.test>")

    @property
    def keyring(self) -> bytes:
        """Not armoured, as distributions ship theirs."""
        return bytes(self._key.extract_certificate())

    @property
    def uri(self) -> str:
        return self.folder.as_uri()

    def sources(self) -> str:
        """As a base's own apt is told (sources.list(5))."""
        return "".join(
            f"Types: deb\nURIs: {self.uri}/\nSuites: {suites}\nComponents: main universe\n\n"
            for suites in (f"{self.name} {self.name}-updates", f"{self.name}-security")
        )

    def add(
        self,
        name: str,
        version: str = "1",
        fields: str = "",
        *,
        component: str = "main",
        suite: str = "",
        **control_files: bytes,
    ) -> None:
        """A package with one file, compressed as Ubuntu's; `suite` is that after the name."""
        control = f"Package: {name}\nVersion: {version}\nArchitecture: all\n{fields}"
        made = zstd_deb(
            control,
            [member("./usr/share/made/"), member(f"./usr/share/made/{name}", version.encode())],
            control_files,
        )
        path = f"pool/{component}/{name}_{version}_all.deb"
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_bytes(made)
        where = f"Filename: {path}\nSize: {len(made)}\nSHA256: {hashlib.sha256(made).hexdigest()}"
        self._lists.setdefault((suite, component), []).append(f"{control}{where}\n\n")

    def forget(self) -> None:
        """Have nothing on the lists any more."""
        self._lists.clear()

    def publish(self, *, listed: bytes | None = None) -> None:
        """Write and sign all suites; `listed` stands in each Release file in place of the lists."""
        for suite in ("", "-updates", "-security"):
            place = self.folder / "dists" / f"{self.name}{suite}"
            lines = []
            for component in self.components:
                for architecture in ("amd64", "arm64"):
                    path = f"{component}/binary-{architecture}/Packages.xz"
                    (place / path).parent.mkdir(parents=True, exist_ok=True)
                    content = lzma.compress(
                        "".join(self._lists.get((suite, component), ())).encode()
                    )
                    (place / path).write_bytes(content)
                    said = content if listed is None else listed
                    lines.append(f" {hashlib.sha256(said).hexdigest()} {len(content)} {path}\n")
            text = (
                f"Origin: Ubuntu\nSuite: {self.name}{suite}\nCodename: {self.name}\n"
                "Date: Thu, 25 Apr 2024 15:10:33 UTC\nSHA256:\n" + "".join(lines)
            )
            signed = pysequoia.sign(
                self._key.signer(), text.encode(), mode=pysequoia.SignatureMode.CLEAR
            )
            (place / "InRelease").write_bytes(bytes(signed))


def zstd_deb(
    control: str,
    members: Iterable[tuple[tarfile.TarInfo, bytes | None]],
    control_files: dict[str, bytes],
) -> bytes:
    files = [member("./control", control.encode())]
    files += [member(f"./{name}", data) for name, data in control_files.items()]
    return ar_bytes(
        [
            ("debian-binary", b"2.0\n"),
            ("control.tar.zst", zstd.compress(tar_bytes(files))),
            ("data.tar.zst", zstd.compress(tar_bytes(members))),
        ]
    )
