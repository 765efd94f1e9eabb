# SPDX-License-Identifier: Apache-2.0
"""Model files in a registry: images whose layers are tars, and artifacts whose layers are files.

Distribution specification: manifests and blobs; tokens as its challenge asks for them. Keys are in
DOCKER_AUTH_CONFIG, the text of a config.json, as a Secret to pull images with has it under
`.dockerconfigjson`. REGISTRY_PLAIN_HTTP names registries without TLS, as host:port; on loopback
none is expected.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from ..errors import FilesError
from ..files import is_safe_path
from .remote import Remote
from .web import StatusError, document

TITLE = "org.opencontainers.image.title"
FILE_PATH, FILE_SIZE, FILE_SHA256 = (
    f"dev.imagekit.file.{name}" for name in ("path", "size", "sha256")
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_TAR = re.compile(r".*(\.tar|\+tar|tar\+gzip|\.tar\.gzip)$")
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_REFERENCE = re.compile(
    r"(?P<host>[\w.-]+(?::\d+)?)/(?P<name>[a-z0-9._/-]+?)"
    r"(?::(?P<tag>[\w][\w.-]*))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


def listing(source: str, environment: Mapping[str, str], until: float) -> tuple[str, list[Remote]]:
    found = _REFERENCE.fullmatch(source.removeprefix("oci://"))
    if found is None:
        raise FilesError(f"{source} is not written oci://HOST/NAME[:TAG|@DIGEST]")
    host, name = found["host"], found["name"]
    scheme = "http" if _is_plain(host, environment) else "https"
    base = f"{scheme}://{host}/v2/{name}"
    headers = _authorised(base, host, name, environment, until)
    reference = found["digest"] or found["tag"] or "latest"
    manifest, digest = _manifest(base, reference, headers, until)
    layers = manifest.get("layers")
    if not isinstance(layers, list):
        raise FilesError(f"{source} is an index of several images: name one by its digest")
    remotes = [_remote(each, base, headers) for each in layers]
    return f"oci://{host}/{name}@{digest}", remotes


def _is_plain(host: str, environment: Mapping[str, str]) -> bool:
    name = host.partition(":")[0]
    return (
        name == "localhost"
        or name.startswith("127.")
        or (host in environment.get("REGISTRY_PLAIN_HTTP", "").split(","))
    )


def _manifest(
    base: str, reference: str, headers: Mapping[str, str], until: float
) -> tuple[dict[str, Any], str]:
    url = f"{base}/manifests/{reference}"
    data, _ = document(url, {**headers, "Accept": ", ".join(_MANIFESTS)}, until)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if reference.startswith("sha256:") and digest != reference:
        raise FilesError(f"{url} has another digest, {digest}")
    manifest = json.loads(data)
    if not isinstance(manifest, dict):
        raise FilesError(f"{url} is no manifest")
    return manifest, digest


def _remote(layer: Any, base: str, headers: Mapping[str, str]) -> Remote:
    digest, size = layer.get("digest", ""), layer.get("size")
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest) or not isinstance(size, int):
        raise FilesError(f"{base}: a layer without digest and size")
    is_tar = _TAR.fullmatch(str(layer.get("mediaType"))) is not None
    annotations = layer.get("annotations") or {}
    title = annotations.get(TITLE)
    if not is_tar and not is_safe_path(title):
        raise FilesError(f"{base}: the layer {digest} is no tar, and no file with a title")
    return Remote(
        path=f".layers/{digest[7:]}" if is_tar else str(title),
        url=f"{base}/blobs/{digest}",
        headers=headers,
        size_bytes=size,
        sha256=digest.removeprefix("sha256:"),
        is_tar=is_tar,
        holds=_held(annotations) if is_tar else None,
    )


def _held(annotations: Mapping[str, str]) -> tuple[str, int, str] | None:
    path, size, sha256 = (annotations.get(key, "") for key in (FILE_PATH, FILE_SIZE, FILE_SHA256))
    if not is_safe_path(path) or not size.isdigit() or not re.fullmatch("[0-9a-f]{64}", sha256):
        return None
    return path, int(size), sha256


def _authorised(
    base: str, host: str, name: str, environment: Mapping[str, str], until: float
) -> dict[str, str]:
    """The header that this registry asks for; none if it answers without."""
    scheme = base.partition("://")[0]
    try:
        document(f"{scheme}://{host}/v2/", {}, until)
    except StatusError as error:
        if error.status != 401:
            raise
        challenge = error.headers.get("WWW-Authenticate", "")
    else:
        return {}
    key = _key(host, environment)
    basic = {"Authorization": f"Basic {key}"} if key else {}
    if not challenge.lower().startswith("bearer "):
        return basic
    values = dict(_PARAMETER.findall(challenge))
    query = {"scope": f"repository:{name}:pull"}
    if "service" in values:
        query["service"] = values["service"]
    realm = values.get("realm", "")
    if not realm.startswith(("https://", f"{scheme}://")):
        raise FilesError(f"{host} sends keys to {realm or 'nowhere'}, which has no TLS")
    data, _ = document(f"{realm}?{urlencode(query)}", basic, until)
    answer = json.loads(data)
    token = answer.get("token") or answer.get("access_token")
    return {"Authorization": f"Bearer {token}"}


def _key(host: str, environment: Mapping[str, str]) -> str | None:
    """User and password in base64, as config.json has them."""
    text = environment.get("DOCKER_AUTH_CONFIG", "")
    if not text.strip():
        return None
    try:
        entry = json.loads(text)["auths"].get(host) or {}
        if entry.get("auth"):
            b64decode(entry["auth"], validate=True)
            return str(entry["auth"])
        user, password = entry.get("username"), entry.get("password")
    except (ValueError, KeyError, AttributeError, TypeError):
        raise FilesError("DOCKER_AUTH_CONFIG is no config.json of Docker's") from None
    return b64encode(f"{user}:{password}".encode()).decode() if user else None
