# SPDX-License-Identifier: Apache-2.0
"""Services that tests need: a missing one skips them, unless REQUIRE_REAL says it must be there.

REQUIRE_REAL is a list of markers such as `docker,skopeo`, or `all`.

Property tests try the same examples each time; `--hypothesis-profile default` searches anew.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping

import pytest
from hypothesis import settings

from imagekit.builders.envd_program import find_envd
from imagekit.engines.container import Docker, Podman
from imagekit.engines.namespaces import Namespaces
from imagekit.errors import BuildError

settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")


def _program(name: str) -> Callable[[], str | None]:
    return lambda: None if shutil.which(name) else f"no program {name!r} on PATH"


def _root() -> str | None:
    return None if os.geteuid() == 0 else "not root"


def _network() -> str | None:
    """The usual client is asked for a tiny package, through whatever indexes it is set to."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-cache", "-"]
    answer = subprocess.run(
        command, input="iniconfig", capture_output=True, text=True, check=False, timeout=60
    )
    return None if answer.returncode == 0 else f"no package index: {answer.stderr[-200:]}"


def _envd() -> str | None:
    try:
        find_envd(os.environ)
    except BuildError as error:
        return error.message
    return None


def _object_store() -> str | None:
    """The server is moto's; the client is obstore."""
    lacking = [name for name in ("moto.server", "obstore", "fsspec") if not _importable(name)]
    return f"no {', '.join(lacking)} for this Python" if lacking else None


def _importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _vllm() -> str | None:
    python = os.environ.get("VLLM_PYTHON", "")
    return None if os.access(python, os.X_OK) else "VLLM_PYTHON names no Python that has vLLM"


SERVICES: Mapping[str, Callable[[], str | None]] = {
    "docker": Docker(os.environ).probe,
    "envd": _envd,
    "worker": lambda: None if os.environ.get("BUILDKIT_HOST") else "BUILDKIT_HOST names none",
    "podman": Podman(os.environ).probe,
    "registry": _program("docker-registry"),
    "busybox": _program("busybox"),
    "npm": _program("npm"),
    "nginx": lambda: None if os.path.exists("/usr/sbin/nginx") else "no /usr/sbin/nginx",
    "skopeo": _program("skopeo"),
    "sshd": lambda: None if os.path.exists("/usr/sbin/sshd") else "no /usr/sbin/sshd",
    "strace": _program("strace"),
    "umoci": _program("umoci"),
    "userns": Namespaces(os.environ).probe,
    "root": _root,
    "network": _network,
    "s3": _object_store,
    "kubernetes": lambda: None if _importable("kubernetes") else "no package kubernetes",
    "vllm": _vllm,
    "qemu": _program("qemu-aarch64-static"),
}
"""What each marker needs: None when it is there, else what is missing. Asked once, when used."""

_answers: dict[str, str | None] = {}


def missing(marker: str) -> str | None:
    if marker not in _answers:
        _answers[marker] = SERVICES[marker]()
    return _answers[marker]


def pytest_runtest_setup(item: pytest.Item) -> None:
    required = os.environ.get("REQUIRE_REAL", "").split(",")
    for marker in SERVICES:
        if item.get_closest_marker(marker) is None:
            continue
        reason = missing(marker)
        if reason is not None and (marker in required or "all" in required):
            pytest.fail(f"REQUIRE_REAL has {marker}: {reason}", pytrace=False)
        if reason is not None:
            pytest.skip(f"{marker}: {reason}")
