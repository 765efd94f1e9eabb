# SPDX-License-Identifier: Apache-2.0
"""What has to be run in an image, built by an ordinary user of this machine.

The user is one of a mount namespace, which has its own /etc/passwd, /etc/subuid and /etc/subgid.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from imagekit.oci.layout import read_layout
from imagekit.oci.unpack import unpack
from tests.real.builds import Host, new_host, shared_downloads
from tests.real.interpreters import copied_code, interpreter

pytestmark = [pytest.mark.network, pytest.mark.root, pytest.mark.userns]

UID = 4242
BECOME = (
    'etc=$1; shift; for name in passwd subuid subgid; do mount --bind "$etc/$name" "/etc/$name" '
    f'|| exit 99; done; exec setpriv --reuid={UID} --regid={UID} --clear-groups "$@"'
)
COMMANDS = """\
name: tests/ordinary
object_storage: false
compile_bytecode: false
pip_secret_mounts: [[token, /run/secrets/token]]
commands:
- wc -c < /run/secrets/token > /srv/size && chown 2000:33 /srv/size && chmod 4750 /srv/size
- ln /srv/size /srv/same && mkdir -m 1777 /srv/all && rm /etc/debian_version
"""
RANGE = "ordinary:200000:65536\n"
SCRIPTS = COMMANDS + "apt_packages: [dbus]\n"
LACKING = "an ordinary user can't be root of an image here: no 65536 subordinate IDs for this user"


@dataclass(frozen=True, slots=True)
class Site:
    """A folder that everybody reaches: code, a Python, downloads and tables of users."""

    folder: Path
    code: Path
    downloads: Path

    def project(self, text: str) -> Path:
        """A spec with its lock, made by root, in a folder of the user's."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        (folder / "token").write_text("canary-of-the-token\n")
        (folder / "spec.yaml").write_text(text)
        Host(self.folder / "root", self.code).lock(folder / "spec.yaml")
        give(folder)
        return folder / "spec.yaml"

    def user(self, ids: str) -> Host:
        """A machine of the user's own, who has the subordinate IDs `ids`, or none."""
        root = Path(tempfile.mkdtemp(dir=self.folder))
        new_host(root, self.downloads)
        tables = root / "etc"
        tables.mkdir()
        known = Path("/etc/passwd").read_text()
        (tables / "passwd").write_text(f"{known}ordinary:x:{UID}:{UID}::/nowhere:/bin/sh\n")
        for name in ("subuid", "subgid"):
            (tables / name).write_text(ids)
        give(root)
        prefix = ("unshare", "--mount", "sh", "-c", BECOME, "sh", str(tables))
        python = interpreter(self.folder, ("setpriv", f"--reuid={UID}", "--clear-groups"), None)
        environ = {"HOME": "/nowhere", "XDG_STATE_HOME": str(root / "state")}
        return Host(root, self.code, python, prefix, environ)


def give(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if (not path.is_symlink() and path.stat().st_nlink == 1) or path.is_dir():
            shutil.chown(path, UID, UID)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    folder = Path(tempfile.mkdtemp(prefix="imagekit-ordinary-"))
    folder.chmod(0o755)
    root = new_host(folder / "root", shared_downloads())
    yield Site(folder, copied_code(folder / "code"), root.files)
    # What the images' owners own, only root removes.
    shutil.rmtree(folder)


def test_with_subordinate_ids_the_image_is_as_commands_left_it(site: Site) -> None:
    """Owners, modes and links; secrets are there for the commands, and nowhere afterwards."""
    spec = site.project(COMMANDS)
    user = site.user(RANGE)
    digest = user.build(spec, f"oci:{spec.parent / 'image'}")
    root = spec.parent / "root"
    root.mkdir()
    unpack(read_layout(spec.parent / "image"), root)
    size = (root / "srv/size").stat()
    assert (size.st_uid, size.st_gid, oct(size.st_mode), size.st_nlink) == (2000, 33, "0o104750", 2)
    assert oct((root / "srv/all").stat().st_mode) == "0o41777"
    assert not (root / "etc/debian_version").exists()
    found = subprocess.run(["grep", "-rl", "canary-of-the-token", user.root, root], check=False)
    assert found.returncode == 1
    # Cached, it needs no IDs.
    for name in ("subuid", "subgid"):
        (user.root / "etc" / name).write_text("")
    assert user.build(spec) == digest


@pytest.mark.slow
def test_maintainer_scripts_leave_what_they_leave_to_root(site: Site) -> None:
    """Same files, owners and modes, but for what a script makes by chance."""
    spec = site.project(SCRIPTS)
    root = Host(site.folder / "root", site.code)
    site.user(RANGE).build(spec, f"oci:{spec.parent / 'users'}")
    root.build(spec, f"oci:{spec.parent / 'roots'}")
    built = [f"oci:{spec.parent / name}" for name in ("users", "roots")]
    compared = json.loads(root.run("diff", "--output", "json", *built).stdout)
    assert [each["path"] for each in compared["files"]] == ["var/lib/dbus/machine-id"]


@pytest.mark.parametrize(("text", "what"), [
    (COMMANDS, "commands"),
    pytest.param(SCRIPTS, "apt_packages, commands", marks=pytest.mark.slow),
], ids=["commands", "scripts"])  # fmt: skip
def test_without_them_the_plan_says_which_builder_can(site: Site, text: str, what: str) -> None:
    """The build makes nothing; with `builder: auto` what can do it is taken, and why is said."""
    user = site.user("somebody:200000:65536\nordinary:300000:1000\n")
    spec = site.project(text)
    planned = user.run("plan", "--locked", spec)
    assert f"the build will stop: {what}: {LACKING}" in planned.stdout, planned.stderr
    assert "build as root, or with `builder: docker`" in planned.stdout
    made = {*(user.cache / "layers").rglob("*")}
    done = user.run("build", "--locked", spec)
    assert done.returncode == 7
    assert f"error: {what.partition(',')[0]}: {LACKING}" in done.stderr
    assert {*(user.cache / "layers").rglob("*")} == made

    spec.write_text(f"{text}builder: auto\nbuilder_options: {{address: unix:///w}}\n")
    chosen = user.run("plan", "--locked", spec)
    assert f"builder: auto is buildkit, as {LACKING}" in chosen.stderr
    assert "the build will stop" not in chosen.stdout
