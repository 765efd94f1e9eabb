# SPDX-License-Identifier: Apache-2.0
"""`runtime_packages`: what the lock says is installed at the start, or nothing runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.wheels import make_wheel
from tests.real.builds import new_host, shared_downloads

pytestmark = [pytest.mark.network, pytest.mark.root]

SPEC = """\
name: tests/at-start
object_storage: false
compile_bytecode: false
packages: [click]
runtime_packages: [thing, click]
pip_extra_args: --find-links wheels
copy: [wheels]
source_root: src
env: {UV_FIND_LINKS: /root/wheels, UV_OFFLINE: "1"}
"""


def test_the_start_installs_exactly_what_is_locked_or_fails(tmp_path: Path) -> None:
    """Beside what the image has, which is not installed again; another file of the same version
    is not taken.
    """
    (tmp_path / "wheels").mkdir()
    (tmp_path / "src").mkdir()
    (tmp_path / "src/task.py").write_text(
        "def look() -> str:\n    import click, thing\n    return f'{thing.x} {click.__file__}'\n"
    )
    wheel = make_wheel(tmp_path / "wheels", {"thing.py": b"x = 'locked'\n"})
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC)
    host = new_host(tmp_path / "host", shared_downloads())
    host.lock(spec)
    text = (tmp_path / "pylock.toml").read_text()
    assert f'"thing==1.0 --hash=sha256:{wheel.sha256}"' in text
    assert '"click==' not in text
    done = host.run("run", "--locked", spec, "task:look")
    assert done.returncode == 0, done.stderr
    assert "locked /opt/venv" in done.stdout
    make_wheel(tmp_path / "wheels", {"thing.py": b"x = 'another'\n"})
    done = host.run("run", "--locked", spec, "task:look")
    assert done.returncode != 0
    assert "hash" in done.stderr.lower()
    assert "another" not in done.stdout
