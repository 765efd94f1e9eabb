# SPDX-License-Identifier: Apache-2.0
"""Where an image goes that an engine keeps."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from imagekit.builders.delivering import all_targets
from imagekit.builders.model import BuildRequest, Built
from imagekit.builders.resettled import annotated
from imagekit.builders.targets import EngineName, deliver
from imagekit.buildkit.engine import Engine
from imagekit.errors import BuildError
from imagekit.registry.client import RegistryClient
from imagekit.registry.credentials import find_credentials
from imagekit.registry.reference import RegistryReference


def delivered(
    engine: Engine, request: BuildRequest, built: Built, annotations: Mapping[str, str]
) -> Built:
    """The image at all places of the request; its digest is a registry's where there is one.

    `annotations` are what manifests say of it: engines push none.
    """
    name = f"{built.reference}:{built.tag}"
    digest = built.digest
    with contextlib.closing(RegistryClient(progress=request.progress)) as client:
        for target in all_targets(request, built.tag):
            if isinstance(target, RegistryReference):
                pushed = _push(engine, name, target, request.environ)
                image = annotated(client.pull(target.at(pushed)), annotations)
                client.push(image, target)
                digest = image.digest
            elif isinstance(target, EngineName):
                repository, _, tag = target.name.rpartition(":")
                engine.tag(name, repository, tag)
            else:
                deliver(built.named, target, name, client)
    return Built(built.reference, built.tag, digest, built.read, built.image_id)


def _push(engine: Engine, name: str, target: RegistryReference, environ: Mapping[str, str]) -> str:
    if not target.tag:
        raise BuildError(f"pushing to {target}: the engine pushes tags only", hint="name a tag")
    repository = f"{target.host}/{target.repository}"
    engine.tag(name, repository, target.tag)
    found = find_credentials(target.host, target.repository, environ)
    login: dict[str, str] = {}
    if found is not None:
        login = {
            "username": found.username,
            "password": found.password,
            "identitytoken": found.identity_token,
            "registrytoken": found.registry_token,
            "serveraddress": target.host,
        }
    return engine.push(repository, target.tag, login)
