# SPDX-License-Identifier: Apache-2.0
"""Commands of a spec, run natively on the embedded base."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.oci.layout import read_layout
from imagekit.oci.unpack import unpack
from imagekit.oci.validate import validate
from tests.real.builds import history_of, layers_of, new_host, shared_downloads

pytestmark = [pytest.mark.network, pytest.mark.root]

SPEC = """\
name: tests/commands
object_storage: false
source_root: src
env: {WORD: hello}
commands:
  - python -c 'import entrypoint, os; print(os.environ["WORD"])' > /srv/word
  - cd /root && cp task.py copy.py && rm task.py
  - useradd() { echo "app:x:2000:0::/srv:/bin/sh" >> /etc/passwd; }; useradd && chown app /srv/word
"""


def test_commands_run_on_everything_else_and_once(tmp_path: Path) -> None:
    """With packages, source and variables there; the same lock, sources and text run no more."""
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC)
    (tmp_path / "src").mkdir()
    (tmp_path / "src/task.py").write_text("x = 1\n")
    host = new_host(tmp_path / "host", shared_downloads())
    host.lock(spec)
    digest = host.build(spec, f"oci:{tmp_path / 'first'}")
    image = read_layout(tmp_path / "first")
    validate(image)
    assert history_of(image)[-1].startswith("imagekit: commands, not reproducible: python -c")
    root = tmp_path / "root"
    root.mkdir()
    unpack(image, root)
    assert (root / "srv/word").read_text() == "hello\n"
    assert (root / "srv/word").stat().st_uid == 2000
    assert (root / "root/copy.py").exists()
    assert not (root / "root/task.py").exists()
    assert host.build(spec, f"oci:{tmp_path / 'again'}") == digest

    (tmp_path / "src/task.py").write_text("x = 2\n")
    assert host.build(spec, f"oci:{tmp_path / 'changed'}") != digest
    before, after = layers_of(tmp_path / "first"), layers_of(tmp_path / "changed")
    differing = [one for one, other in zip(before, after, strict=True) if one != other]
    assert [what.partition(":")[2].split()[0] for what, _ in differing] == ["source", "commands,"]


def test_secrets_are_there_while_commands_run_and_gone(tmp_path: Path) -> None:
    """A new secret is no other image; no layer, lock, cache or line of the log has it."""
    (tmp_path / "token").write_text("canary-of-the-token\n")
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "object_storage: false\npip_secret_mounts: [[token, /run/secrets/token]]\n"
        "commands: [wc -c < /run/secrets/token > /srv/size, cat /run/secrets/token]\n"
    )
    host = new_host(tmp_path / "host", shared_downloads())
    host.lock(spec)
    done = host.run("build", "--locked", spec, "--to", f"oci:{tmp_path / 'image'}")
    assert done.returncode == 0, done.stderr
    root = tmp_path / "root"
    root.mkdir()
    unpack(read_layout(tmp_path / "image"), root)
    assert (root / "srv/size").read_text().strip() == "20"
    assert not (root / "run/secrets/token").exists()
    written = [done.stdout.encode(), done.stderr.encode()]
    places = [tmp_path / "image", tmp_path / "host", tmp_path / "root"]
    written += [path.read_bytes() for place in places for path in place.rglob("*")
                if path.is_file() and not path.is_symlink()]  # fmt: skip
    assert not [text for text in written if b"canary-of-the-token" in text]
    (tmp_path / "token").write_text("another\n")
    again = host.run("build", "--locked", spec, "--to", f"oci:{tmp_path / 'again'}")
    assert again.stdout == done.stdout


def test_a_failing_command_ends_the_build(tmp_path: Path) -> None:
    """With its exit code, its last lines, and the exit code of build errors."""
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "object_storage: false\ncommands: ['true', \"sh -c 'echo so it is; exit 9'\", echo never]\n"
    )
    host = new_host(tmp_path / "host", shared_downloads())
    host.lock(spec)
    done = host.run("build", "--locked", spec)
    assert done.returncode == 7
    assert done.stderr.endswith("error: commands: exit code 9\n  so it is\n")
    assert done.stdout == ""
