# SPDX-License-Identifier: Apache-2.0
"""What the image's own dpkg does where maintainer scripts have to run: a shell script."""

from __future__ import annotations

import shlex

from imagekit.debian.apt.root import rules_of
from imagekit.debian.apt.section import AptSet
from imagekit.debian.base import DebPackage
from imagekit.debian.releases import content

DEBS = "/run/imagekit/debs"
"""Where the script finds the packages, each under its `deb_name`."""
FORGET = (
    "var/cache/debconf/*-old",
    "var/cache/ldconfig/aux-cache",
    "var/lib/dpkg/*-old",
    "var/lib/dpkg/lock*",
    "var/lib/dpkg/triggers/Lock",
    "var/log/alternatives.log",
)
"""What programs write along the way, and nobody needs."""

_OPTIONS = "--force-unsafe-io --force-confdef --force-confold --log=/dev/null"
_SETTINGS = "/etc/dpkg/dpkg.cfg.d/imagekit"
_MANUALS = """\
made=
for number in 1 5 7 8; do
  folder=/usr/share/man/man$number
  [ -d $folder ] || { mkdir -p $folder; made="$made $folder"; }
done
"""
"""Alternatives link manual pages, and fail without their folders, as slim bases are."""

_NO_SERVICES = """\
if [ ! -e /usr/sbin/policy-rc.d ]; then
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
  chmod 755 /usr/sbin/policy-rc.d
fi
"""
"""Scripts start no services then (invoke-rc.d(8), deb-systemd-invoke(1p))."""


def dpkg_script(found: AptSet, *, embedded: bool) -> str:
    """Unpacks and configures all of `found`; to be run by `sh -c` as root of the image.

    Packages are unpacked before any is configured, so dpkg takes it that what they pre-depend on
    is only unpacked yet; then it configures them in the order of what they depend on, and runs
    triggers. `embedded`: the base leaves files out by settings that dpkg has to be told.
    """
    names = " ".join(shlex.quote(deb_name(each)) for each in debs_of(found))
    return (
        "set -e\n"
        "export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true\n"
        f"{_settings() if embedded else ''}"
        f"{_MANUALS}"
        f"{_NO_SERVICES}"
        f"cd {DEBS}\n"
        f"dpkg {_OPTIONS} --auto-deconfigure --force-depends --unpack {names}\n"
        "cd /\n"
        # The second time only what failed says why, at the end of all output.
        f"dpkg {_OPTIONS} --configure --pending || dpkg {_OPTIONS} --configure --pending\n"
        'for folder in $made; do rmdir "$folder" 2>/dev/null || true; done\n'
    )


def debs_of(found: AptSet) -> tuple[DebPackage, ...]:
    """The packages that the script is given."""
    return (*found.packages, *found.again)


def deb_name(package: DebPackage) -> str:
    return f"{package.name}.deb"


def _settings() -> str:
    lines = [
        f"path-{'exclude' if excluded else 'include'}={pattern}"
        for excluded, pattern in rules_of(content())
    ]
    words = " ".join(shlex.quote(line) for line in lines)
    folder = _SETTINGS.rpartition("/")[0]
    return f"mkdir -p {folder}\nprintf '%s\\n' {words} > {_SETTINGS}\n"
