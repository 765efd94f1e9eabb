# SPDX-License-Identifier: Apache-2.0
"""`pip_secret_mounts`: files of this machine that are used while an image is made, and never kept.

Each is there while `commands` run. A netrc and a uv.toml also say how packages are found and
fetched, on this machine: no index is asked from inside an image.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from imagekit.errors import Problem, SpecError
from imagekit.spec.model import ImageSpec
from imagekit.urls import with_credentials

_NETRC = (".netrc", "netrc", "_netrc")
_UV = ("uv.toml",)


def mounted(spec: ImageSpec, folder: Path) -> tuple[tuple[str, str], ...]:
    """(file of this machine, absolute path in the image), for each."""
    return tuple((str((folder / source).absolute()), to) for source, to in spec.pip_secret_mounts)


def resolver_variables(spec: ImageSpec, folder: Path) -> dict[str, str]:
    """Where uv finds its credentials and its configuration."""
    found = {}
    for source, target in mounted(spec, folder):
        name = PurePosixPath(target).name
        if name in _NETRC:
            found["NETRC"] = source
        elif name in _UV:
            found["UV_CONFIG_FILE"] = source
    return found


def netrc_addresses(spec: ImageSpec, folder: Path) -> Iterator[str]:
    """URLs with the credentials of each netrc, for downloads; to be used and never written.

    Raises:
        SpecError: one can't be read.
    """
    import netrc  # noqa: PLC0415 - most specs mount none

    for source, target in mounted(spec, folder):
        if PurePosixPath(target).name not in _NETRC:
            continue
        try:
            hosts = netrc.netrc(source).hosts
        except (OSError, netrc.NetrcParseError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is no netrc file"
            raise SpecError(source, [Problem(f"can't be read: {reason}")]) from error
        for host, (login, _, password) in hosts.items():
            user = f"{quote(login, safe='')}:{quote(password or '', safe='')}"
            yield f"netrc://{user}@{host}/"


def with_secrets(spec: ImageSpec, folder: Path) -> ImageSpec:
    """The spec with credentials in the URLs of its indexes, for use only."""
    known = tuple(netrc_addresses(spec, folder))
    index = spec.pip_index
    return dataclasses.replace(
        spec,
        pip_index=None if index is None else with_credentials(index, known),
        pip_extra_index_url=[with_credentials(url, known) for url in spec.pip_extra_index_url],
    )
