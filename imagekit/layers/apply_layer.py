# SPDX-License-Identifier: Apache-2.0
"""Applies the tar of a layer to the root in which it runs, with owners, modes and whiteouts.

Run inside a container by the base's interpreter, never imported by imagekit itself:

    python apply_layer.py LAYER.tar
"""

import os
import shutil
import sys
import tarfile

_XATTR = "SCHILY.xattr."
_OPAQUE = ".wh..wh..opq"


def main() -> None:
    with tarfile.open(sys.argv[1], errors="surrogateescape") as archive:
        # Newer versions warn, or refuse what images need, unless they are told.
        archive.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)
        for member in archive:
            apply(archive, member)


def apply(archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    """Members are of a layer that imagekit made, so their paths stay below the root."""
    path = f"/{member.name}"
    folder, _, name = path.rpartition("/")
    if name == _OPAQUE:
        for entry in os.listdir(folder):
            remove(f"{folder}/{entry}")
    elif name.startswith(".wh."):
        remove(f"{folder}/{name.removeprefix('.wh.')}")
    else:
        if not (member.isdir() and os.path.isdir(path) and not os.path.islink(path)):
            remove(path)
        archive.extract(member, "/", numeric_owner=True)
        for key, value in member.pax_headers.items():
            if key.startswith(_XATTR):
                data = value.encode(errors="surrogateescape")
                os.setxattr(path, key[len(_XATTR) :], data, follow_symlinks=False)


def remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


if __name__ == "__main__":
    main()
