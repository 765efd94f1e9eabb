# SPDX-License-Identifier: Apache-2.0
"""Running a project's build backend by uv (PEP 517), so that it leaves the same wheel elsewhere.

What the backend needs is pinned by version and hash, and is in an environment of its own. The
variables, time and umask that it sees are the same on every machine; paths of this one are kept out
of what compilers write. Whether the wheel is the same in the end is up to the backend.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from imagekit.errors import LockError
from imagekit.lock import uv
from imagekit.lock.model import Target
from imagekit.lock.sources.host import find_python, glibc
from imagekit.lock.tags import best_wheel, supported_tags
from imagekit.urls import masked
from imagekit.values import frozen

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_DEFAULT_REQUIRES = ("setuptools>=40.8.0",)  # PEP 517, "Build backend not specified"
_KEPT = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "NETRC", "SSH_AUTH_SOCK"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
        *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"),
        *("http_proxy", "https_proxy", "no_proxy", "all_proxy"),
    }
)
_PINNED = {
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
    "SOURCE_DATE_EPOCH": "315619200",  # 1980-01-02, as in layers
}
_SHOWN_LINES = 30


@frozen
class Backend:
    """Builds for one version of Python; `variables` say where uv finds packages.

    `folder` is that of the spec, where uv looks for its configuration.
    """

    target: Target
    folder: Path
    variables: Mapping[str, str]

    def pinned_requires(self, project: Path) -> tuple[str, ...]:
        """What the project's backend needs now, as requirements with version and hash.

        What a backend asks for on top, while it builds, is not pinned.

        Raises:
            LockError: it can't be resolved, or pyproject.toml can't be read.
        """
        system = _pyproject(project).get("build-system", {})
        wanted = system.get("requires", _DEFAULT_REQUIRES)
        if not wanted:
            return ()
        here = Target(self.target.platform, self.target.python_version, "", glibc())
        request = uv.Request(
            packages=list(wanted),
            requirements=None,
            target=here,
            default_index=None,
            indexes=(),
            preferences=(),
            folder=self.folder,
            may_build=None,
        )
        tags = supported_tags(here)
        return tuple(
            _pin(package, tags) for package in uv.compile_packages(request, self.variables)
        )

    def build(self, project: Path, requires: Sequence[str], into: Path, what: str) -> Path:
        """Build the wheel of `project`, which may be changed by that; returns its path.

        Raises:
            LockError: the backend fails, with what it said.
        """
        into.mkdir()
        constraints = into / "constraints.txt"
        constraints.write_text("".join(f"{each}\n" for each in requires), encoding="utf-8")
        command = [
            *(uv.program(), "build", "--wheel", "--no-sources", "--no-create-gitignore"),
            *("--no-progress", "--color=never", "--no-python-downloads"),
            f"--python={find_python(self.target.python_minor)}",
            f"--build-constraints={constraints}",
            f"--out-dir={into}",
            str(project),
        ]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment(project),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            umask=0o022,
        )
        wheels = sorted(into.glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            said = masked(done.stderr.decode(errors="replace")).strip().splitlines()
            raise LockError(
                f"building {what}: " + "\n".join(said[-_SHOWN_LINES:]),
                hint="compilers and libraries that it needs have to be on this machine",
            )
        return wheels[0]

    def _environment(self, project: Path) -> dict[str, str]:
        kept = {
            name: value
            for name, value in self.variables.items()
            if name in _KEPT or name.startswith("UV_")
        }
        flags = f"-g0 -ffile-prefix-map={project}=."
        return {**kept, **_PINNED, "CFLAGS": flags, "CXXFLAGS": flags}


def declared_name(project: Path) -> str:
    """The distribution's normalised name where the project says it without running code."""
    found = _pyproject(project).get("project", {}).get("name", "")
    if not found:
        found = _header(project / "PKG-INFO", "Name")
    return canonicalize_name(found) if isinstance(found, str) else ""


def is_project(folder: Path) -> bool:
    return (folder / "pyproject.toml").is_file() or (folder / "setup.py").is_file()


def _header(path: Path, name: str) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((x.partition(":")[2].strip() for x in lines if x.startswith(f"{name}:")), "")


def _pyproject(project: Path) -> dict[str, Any]:
    try:
        return tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise LockError(f"{project.name}/pyproject.toml can't be read: {error}") from error


def _pin(package: Mapping[str, Any], tags: tuple[Any, ...]) -> str:
    """One file of the package: the wheel that fits here, else its source."""
    wheels = {
        each.get("name") or each["url"].rpartition("/")[2]: each
        for each in package.get("wheels", ())
    }
    chosen = best_wheel(wheels, tags)
    entry = wheels[chosen] if chosen is not None else package.get("sdist", {})
    sha256 = entry.get("hashes", {}).get("sha256")
    pinned = f"{package['name']}=={package['version']}"
    return f"{pinned} --hash=sha256:{sha256}" if sha256 else pinned
