# SPDX-License-Identifier: Apache-2.0
"""The files that a rendered Dockerfile is built from, and the secrets that its steps mount."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from imagekit.builders.file_digests import remembered_sha256
from imagekit.builders.layerings import FLYTE_NAMES, flyte_script
from imagekit.builders.runtime import runtime_file, runtime_pin
from imagekit.builders.uv_program import uv_for
from imagekit.builders.wheels import Supply, Wheels
from imagekit.buildkit.tree import Entry, arranged
from imagekit.errors import BuildError
from imagekit.layers.tree import Node
from imagekit.layers.users import passwd_with_task
from imagekit.layers.venv import PREFIX
from imagekit.layers.wheel_file import WheelFile
from imagekit.lock.model import Lock
from imagekit.planning.dockerfile import Stage, copies_of, is_local
from imagekit.planning.planner import Plan
from imagekit.planning.steps import AddUser, InstallRuntime
from imagekit.progress import Progress
from imagekit.spec.model import ImageSpec

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_PACKAGE = Path(__file__).parent.parent
_SCRIPTS = ("compile_installed.py", "refuse_installed.py")
_LIBRARY = (
    *("errors.py", "layers/__init__.py", "layers/bytecode.py", "layers/compile_server.py"),
    "layers/conflicts.py",
)
"""What of imagekit the scripts import."""
_INDEX_KEYS = frozenset(
    {
        *("index", "index-url", "extra-index-url", "find-links", "index-strategy", "no-index"),
        *("allow-insecure-host", "pip"),
    }
)
_BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
_SYSTEM_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


def context_entries(
    plan: Plan, lock: Lock, stages: Sequence[Stage], supply: Supply, progress: Progress
) -> tuple[Entry, ...]:
    """The context of the plan's Dockerfile; wheels that no index has are fetched first.

    Raises:
        BuildError: there is no uv for the platform of the image.
        FetchError: such a wheel is nowhere to be had.
    """
    entries = [*_environment(plan), *_tools(lock.target.platform, progress)]
    for step in plan.steps:
        if isinstance(step, AddUser):
            entries.append(Entry.made("user/etc/passwd", passwd_with_task(step.passwd)))
            entries.append(Entry.folder("home/root", 0o775))
        elif isinstance(step, InstallRuntime) and step.flyte_names:
            entries += _scripts(plan)
    for source, copied in copies_of(plan.steps):
        name = copied.workdir.rstrip("/").rpartition("/")[2]
        entries.append(Entry.folder(f"{source}-folder/{name}", 0o775))
        entries.append(Entry.folder(source))
        entries += (_copied(node, source) for node in copied.nodes)
        entries += (Entry.folder(f"{source}/{path}", 0o775) for path in _parents(copied.nodes))
    return arranged([*entries, *_stages(stages, lock, supply, progress)])


def secrets(spec: ImageSpec, environ: Mapping[str, str]) -> dict[str, bytes]:
    """What the steps mount: the indexes as a uv.toml, and the CA bundle that is in use here."""
    bundles = [environ.get(name, "") for name in _BUNDLES]
    found = (Path(path) for path in (*bundles, *_SYSTEM_BUNDLES) if path)
    bundle = next((path.read_bytes() for path in found if path.is_file()), b"")
    return {"imagekit-uv": _uv_settings(spec, environ).encode(), "imagekit-ca": bundle}


def _uv_settings(spec: ImageSpec, environ: Mapping[str, str]) -> str:
    """What of the user's own uv configuration says where packages are, then what the spec says."""
    settings = {k: value for k, value in _user_settings(environ).items() if k in _INDEX_KEYS}
    default = spec.pip_index or environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL")
    extra = environ.get("UV_INDEX") or environ.get("UV_EXTRA_INDEX_URL") or ""
    indexes: list[dict[str, Any]] = [
        {"url": url} for url in (*spec.pip_extra_index_url, *extra.split())
    ]
    indexes += settings.pop("index", [])
    if default:
        settings.pop("index-url", None)
        indexes = [index for index in indexes if not index.get("default")]
        indexes.append({"url": default, "default": True})
    if indexes:
        settings["index"] = indexes
    # Never empty: workers of engine 20.10 take an empty secret for a missing one.
    return "# where packages are\n" + tomli_w.dumps(settings)


def _user_settings(environ: Mapping[str, str]) -> dict[str, Any]:
    config = environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    places = [environ.get("UV_CONFIG_FILE"), f"{config}/uv/uv.toml", "/etc/uv/uv.toml"]
    for place in filter(None, places):
        try:
            with open(place, "rb") as stream:
                return tomllib.load(stream)
        except FileNotFoundError:
            continue
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise BuildError(f"reading uv's configuration {place}: {error}") from error
    return {}


def _environment(plan: Plan) -> Iterator[Entry]:
    """The venv, as `Venv.write` makes it."""
    venv, folder = plan.venv, f"environment/{PREFIX}"
    yield Entry.folder(f"environment/{venv.site_packages}")
    for name, target in venv.links.items():
        yield Entry.link(f"{folder}/{name}", target)
    yield Entry.made(f"{folder}/pyvenv.cfg", venv.settings)


def _tools(platform: str, progress: Progress) -> Iterator[Entry]:
    uv = uv_for(platform, progress)
    yield _on_disk("tools/uv", uv, 0o755, remembered_sha256(uv))
    for name in _SCRIPTS:
        yield Entry.made(f"tools/{name}", (_PACKAGE / "layers" / name).read_bytes())
    yield Entry.made("tools/imagekit/__init__.py", b"")
    for name in _LIBRARY:
        yield Entry.made(f"tools/imagekit/{name}", (_PACKAGE / name).read_bytes())


def _scripts(plan: Plan) -> Iterator[Entry]:
    for name in FLYTE_NAMES:
        yield Entry.made(f"scripts/{name}", flyte_script(name, plan.venv), 0o755)


def _copied(node: Node, folder: str) -> Entry:
    path = f"{folder}/{node.path}"
    if node.kind == "directory":
        return Entry.folder(path, 0o775)
    if node.kind == "link":
        return Entry.link(path, node.target)
    mode = 0o775 if node.executable else 0o664
    return Entry(path, mode, node.source, None, node.size_bytes, node.sha256)


def _parents(nodes: Iterable[Node]) -> set[str]:
    """Folders that only the paths of nodes speak of."""
    present = {node.path for node in nodes if node.kind == "directory"}
    found = set()
    for node in nodes:
        parent = node.path.rpartition("/")[0]
        while parent:
            found.add(parent)
            parent = parent.rpartition("/")[0]
    return found - present


def _stages(
    stages: Sequence[Stage], lock: Lock, supply: Supply, progress: Progress
) -> Iterator[Entry]:
    sent = [wheel for stage in stages for wheel in stage.wheels if is_local(wheel)]
    fetched = Wheels([wheel for wheel in sent if wheel in lock.packages], supply, progress)
    try:
        for stage in stages:
            yield Entry.made(f"{stage.folder}/requirements.txt", stage.requirements.encode())
            for wheel in filter(is_local, stage.wheels):
                file = fetched.file(wheel) if wheel in lock.packages else _runtime(lock)
                yield _on_disk(f"{stage.folder}/{wheel.filename}", file.path, 0o644, file.sha256)
    finally:
        fetched.close()


def _runtime(lock: Lock) -> WheelFile:
    if runtime_pin() != lock.runtime:
        raise BuildError("the lock pins another runtime than this imagekit carries")
    return runtime_file()


def _on_disk(path: str, source: Path, mode: int, sha256: str) -> Entry:
    return Entry(path, mode, source, None, os.stat(source).st_size, sha256)
