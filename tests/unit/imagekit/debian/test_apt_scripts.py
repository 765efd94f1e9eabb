# SPDX-License-Identifier: Apache-2.0
"""Which scripts have to run is told from their text, and doubt means that they do."""

import pytest

from imagekit.debian.apt.scripts import has_to_run, interests, runs_first

QUIET = b"""\
#!/bin/sh
set -e
# Automatically added by dh_makeshlibs/13.1
if [ "$1" = "configure" ]; then
	ldconfig
fi
# End automatically added section
# Automatically added by dh_python3
py3compile -p sample
# End automatically added section
exit 0
"""


def test_a_package_without_scripts_needs_none() -> None:
    """Nor does one whose scripts are debhelper's and do what is done anyway."""
    assert not has_to_run({"control": b"", "prerm": b"rm -rf /"})
    assert not has_to_run({"postinst": QUIET, "triggers": b"activate-noawait ldconfig\n"})


@pytest.mark.parametrize(
    "script",
    [
        b"#!/bin/sh\nupdate-alternatives --install /usr/bin/a a /usr/bin/b 1\n",
        QUIET + b"adduser --system x\n",
        QUIET.replace(b"dh_python3", b"dh_installsystemd"),
        b"\x7fELF",
    ],
)
def test_anything_else_has_to_run(script: bytes) -> None:
    """As a postinst after unpacking, as a preinst before."""
    assert has_to_run({"postinst": script})
    assert not runs_first({"postinst": script})
    assert has_to_run({"preinst": script})
    assert runs_first({"preinst": script})


def test_triggers_have_to_be_seen_by_dpkg() -> None:
    """Those that a package waits for, and those of others that it sets off."""
    assert interests({"triggers": b"# x\ninterest-noawait /usr/share/x\ninterest y\n"}) == [
        "/usr/share/x",
        "y",
    ]
    assert has_to_run({"triggers": b"interest y\n"})
    assert has_to_run({"triggers": b"activate update-initramfs\n"})
