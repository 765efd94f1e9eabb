# SPDX-License-Identifier: Apache-2.0
"""A plan on its way to BuildKit: its Dockerfile, its context, and what its steps may ask for."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

from imagekit.builders.base import Base, open_base
from imagekit.builders.dockerfile_context import context_entries, secrets
from imagekit.builders.identity import dockerfile_identity
from imagekit.builders.model import BuildRequest
from imagekit.builders.plans import plan_of
from imagekit.buildkit.session import Login, Offer
from imagekit.buildkit.tree import Entry, arranged
from imagekit.errors import BuildError
from imagekit.lock.model import Lock
from imagekit.planning.dockerfile import command_secrets, refuse_unwritable, render_dockerfile
from imagekit.planning.planner import Plan
from imagekit.planning.steps import (
    InstallDebian,
    InstallRuntime,
    InstallWheels,
    ListLibraries,
    RunCommands,
)
from imagekit.progress import Progress
from imagekit.registry.reference import RegistryReference
from imagekit.spec.secret_files import resolver_variables, with_secrets
from imagekit.values import frozen

SENT_BASE = "imagekit-base"
"""What FROM names where the base is an image of the session."""


@frozen
class Prepared:
    """One platform's part of a request: nothing has been sent or built yet."""

    request: BuildRequest
    lock: Lock
    base: Base
    plan: Plan

    @property
    def bytecode(self) -> bool:
        steps = (s for s in self.plan.steps if isinstance(s, InstallWheels | InstallRuntime))
        return any(step.bytecode for step in steps)

    @property
    def laid(self) -> tuple[InstallDebian | ListLibraries, ...]:
        """What lies on the base before any step of a builder's."""
        steps = self.plan.steps
        return tuple(step for step in steps if isinstance(step, InstallDebian | ListLibraries))


@frozen
class Input:
    """What a solve is given: the session's offer, and the frontend's options."""

    offer: Offer
    options: Mapping[str, str]
    entitlements: Sequence[str] = ()


def prepare(request: BuildRequest, lock: Lock) -> Prepared:
    """Plan one platform.

    Raises BuildError for what a Dockerfile can't hold.
    """
    spec, path = request.spec, request.spec_path
    base = open_base(spec, path, lock, request.progress)
    made_by = dockerfile_identity(lock)
    plan = plan_of(spec, path, lock, base_layers=base.layer_count, made_by=made_by)
    refuse_unwritable(plan.steps)
    return Prepared(request, lock, base, plan)


def frontend_input(prepared: Prepared, base: str, *, link: bool) -> Input:
    """Render the Dockerfile over `base`, and collect its files."""
    request, plan = prepared.request, prepared.plan
    rendered = render_dockerfile(plan, base, link=link)
    progress: Progress = request.progress
    entries = context_entries(
        plan, prepared.lock, rendered.stages, request.supply(prepared.lock), progress
    )
    if prepared.lock.apt is not None:
        from imagekit.builders.deb_entries import deb_entries  # noqa: PLC0415 - few have any

        debs = deb_entries(
            prepared.lock, request.spec.builder_options, progress, prepared.base.apt_sources
        )
        entries = arranged([*entries, *debs])
    options = {f"build-arg:{name}": value for name, value in rendered.arguments.items()}
    options |= {"filename": "Dockerfile", "target": "image"}
    options["platform"] = prepared.lock.target.platform
    trees = {
        "context": entries,
        "dockerfile": arranged([Entry.made("Dockerfile", rendered.text.encode())]),
    }
    offer = Offer(trees, _secrets(prepared), functools.partial(login, environ=request.environ))
    network = request.spec.builder_options.get("network")
    if network is None:
        return Input(offer, options)
    options["force-network-mode"] = network
    return Input(offer, options, ["network.host"] if network == "host" else ())


def registry_base(prepared: Prepared) -> str | None:
    """What FROM names where the base is a registry's, which the worker pulls by its digest.

    One that something was laid on is no registry's any more.
    """
    lock = prepared.lock
    reference = str(lock.base.get("reference", "oci:"))
    if prepared.laid or reference.startswith(("oci:", "oci-archive:")):
        return None
    named = RegistryReference.parse(reference.removeprefix("docker://"))
    return f"{named.host}/{named.repository}@{lock.base['digest']}"


def login(host: str, environ: Mapping[str, str]) -> Login | None:
    """The user's credentials for a registry's host, as the worker asks for them."""
    from imagekit.registry.credentials import find_credentials  # noqa: PLC0415 - most ask for none

    known = RegistryReference.parse(f"{host}/any").host
    found = find_credentials(known, "", environ)
    if found is None:
        return None
    if found.identity_token:
        return "", found.identity_token
    return found.username, found.password


def _secrets(prepared: Prepared) -> dict[str, bytes]:
    spec, folder = prepared.request.spec, prepared.request.spec_path.parent
    environ = {**prepared.request.environ, **resolver_variables(spec, folder)}
    found = secrets(with_secrets(spec, folder), environ)
    for step in prepared.plan.steps:
        if isinstance(step, RunCommands):
            for name, (path, _) in command_secrets(step).items():
                try:
                    found[name] = Path(path).read_bytes()
                except OSError as error:
                    raise BuildError(f"reading the secret {path}: {error.strerror}") from error
    return found
