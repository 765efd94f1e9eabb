# SPDX-License-Identifier: Apache-2.0
"""One project and one machine for all builders, so that layers are made once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.real.buildkit.hostile import write_project, write_spec
from tests.real.builds import Host, new_host, shared_downloads


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """With a home of its own."""
    root = tmp_path_factory.mktemp("host")
    yield replace(new_host(root, shared_downloads()), environ={"HOME": str(root)})
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def folder(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hostile project; `native` is the native builder's image, as a layout."""
    root = tmp_path_factory.mktemp("project")
    write_project(root)
    write_spec(root / "docker.yaml", builder="docker", builder_options={"network": "host"})
    write_spec(root / "envd.yaml", builder="envd")
    host.lock(root / "native.yaml")
    for name in ("docker", "envd"):
        shutil.copy(root / "pylock.native.toml", root / f"pylock.{name}.toml")
    host.build(root / "native.yaml", f"oci:{root}/native")
    return root
