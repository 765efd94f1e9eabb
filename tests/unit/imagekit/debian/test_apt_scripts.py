# SPDX-License-Identifier: Apache-2.0
"""Which scripts have to run is told from their text, and doubt means that they do."""

import pytest

from imagekit.debian.apt.alternatives import Alternative
from imagekit.debian.apt.scripts import alternatives_of, has_to_run, interests, runs_first

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
        b"#!/bin/sh\nupdate-alternatives --install /usr/bin/a a $(which b) 1\n",
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


@pytest.mark.parametrize(
    ("action", "script"),
    [
        ("postinst", 'if [ "$1" = configure ] && [ -n "$2" ]; then\n rm -rf /var/x\nfi'),
        ("postinst", 'if [ "configure" = "$1" -a "x$2" != "x" ]; then\n cp a b\nfi'),
        ("postinst", 'if dpkg --compare-versions "$2" lt-nl 1.2~; then\n rm x\nfi'),
        ("postinst", "if [ -d /run/systemd/system ]; then\n systemctl daemon-reload || true\nfi"),
        ("postinst", 'if which x >/dev/null &&\n [ -n "$2" ]\nthen\n x\nfi'),
        (
            "postinst",
            'case "$1" in\nconfigure) ;;\nabort-upgrade|x)\n rm x\n;;\n*)\n exit 1 ;;\nesac',
        ),
        ("postinst", 'f () {\n rm x\n}\nif [ -n "$2" ] && ! f; then\n f\nfi'),
        ("preinst", 'if [ "$1" = upgrade ]; then\n for i in a b; do\n rm $i\n done\nfi\nX=1'),
    ],
)
def test_what_is_for_upgrades_or_running_machines_does_not_count(action: str, script: str) -> None:
    """Its conditions are known at a first installation, and fail."""
    assert not has_to_run({action: script.encode()})


@pytest.mark.parametrize(
    "script",
    [
        'if [ -z "$2" ]; then\n touch /etc/x\nfi',
        'if [ -n "$2" ]; then\n :\nelse\n touch /etc/x\nfi',
        'if dpkg --compare-versions "$2" lt 1.2~; then\n touch x\nfi',
        'if [ "$1" = configure ] || [ -n "$2" ]; then\n touch x\nfi',
        "if [ -e /etc/x ]; then\n rm /etc/x\nfi",
        'if make_x && [ -n "$2" ]; then\n :\nfi',
        'case "$1" in\nconfigure)\n touch x\n;;\nesac',
        'case "$1" in\nremove) ;;\n*) touch x ;;\nesac',
        'f () {\n if [ -n "$2" ]; then\n touch x\n fi\n}\nf a b',
        'set -- a b\nif [ -n "$2" ]; then\n touch x\nfi',
        "cat > /etc/x <<EOF\nif\nEOF",
        'if [ -n "$2" ]; then\n :\n',
        "FOO=$(make_x)",
    ],
)
def test_anything_that_may_act_counts(script: str) -> None:
    """Also what is not understood."""
    assert has_to_run({"postinst": script.encode()})


def test_alternatives_are_read_from_scripts() -> None:
    """With their slaves; comments and removals are nothing."""
    script = (
        b'if [ "$1" = configure ]; then\n'
        b"update-alternatives --quiet --install /usr/bin/a a /usr/bin/b 20 \\\n"
        b"  --slave /usr/bin/c c /usr/bin/d # as for a\n"
        b"update-alternatives --remove x /usr/bin/x\nfi\n"
    )
    assert not has_to_run({"postinst": script})
    assert alternatives_of({"postinst": script}) == [
        Alternative("/usr/bin/a", "a", "/usr/bin/b", 20, {"c": ("/usr/bin/c", "/usr/bin/d")})
    ]


def test_triggers_have_to_be_seen_by_dpkg() -> None:
    """Those that a package waits for, and those of others that it sets off."""
    assert interests({"triggers": b"# x\ninterest-noawait /usr/share/x\ninterest y\n"}) == [
        "/usr/share/x",
        "y",
    ]
    assert has_to_run({"triggers": b"interest y\n"})
    assert has_to_run({"triggers": b"activate update-initramfs\n"})
