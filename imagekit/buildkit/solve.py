# SPDX-License-Identifier: Apache-2.0
"""One build on one worker, from the request to its answer."""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Any, final

import grpc

from imagekit.buildkit import rpc
from imagekit.buildkit.cache_folder import CacheFolder
from imagekit.buildkit.given import Given, give
from imagekit.buildkit.session import Offer, Session
from imagekit.buildkit.status import Listener, Reader
from imagekit.buildkit.transport import Transport
from imagekit.errors import BuildError
from imagekit.interrupts import terminable, told_of_interrupts
from imagekit.values import frozen

_FRONTEND = "dockerfile.v0"
_LINES_SHOWN = 20
_STATUS_SECONDS = 5.0
_MOUNTS = re.compile(r"--mount=\S+\s+")
_FULL = "no space left on device"
_PARSE = ("dockerfile parse error", "failed to create LLB definition", "failed to read dockerfile")


@frozen
class Cache:
    """A cache to read from or to write to, as BuildKit names its kinds: `registry`, `local`...

    `folder` is where one of the kind `local` lies.
    """

    kind: str
    options: Mapping[str, str]
    folder: CacheFolder | None = None


@frozen
class Request:
    """What is built, and what becomes of it.

    Attributes:
        options: the Dockerfile frontend's own, such as `target` or `platform`.
        exporter: what the worker does with the result, such as `moby`, `image` or `oci`.
        exporter_options: such as `name` and `push`.
        entitlements: what the steps may do beyond the usual, such as `network.host`.
        given: in place of a Dockerfile: an image that the worker has, with other settings.
    """

    options: Mapping[str, str] = field(default_factory=dict)
    exporter: str = ""
    exporter_options: Mapping[str, str] = field(default_factory=dict)
    cache_from: Sequence[Cache] = ()
    cache_to: Sequence[Cache] = ()
    entitlements: Sequence[str] = ()
    given: Given | None = None

    def message(self, reference: str, session: str) -> dict[str, Any]:
        attributes = dict(self.options)
        if self.cache_from:
            # The frontend is what asks for its steps, so it has to know, too.
            attributes["cache-imports"] = json.dumps(_entries(self.cache_from))
        frontend = {"Frontend": _FRONTEND, "FrontendAttrs": attributes}
        return {
            "Ref": reference,
            "Session": session,
            **(frontend if self.given is None else {}),
            "Exporter": self.exporter,
            "ExporterAttrs": dict(self.exporter_options),
            "Cache": {"Exports": _entries(self.cache_to), "Imports": _entries(self.cache_from)},
            "Entitlements": list(self.entitlements),
        }


def solve(
    transport: Transport, request: Request, offer: Offer, listener: Listener
) -> dict[str, str]:
    """Build, and return what the exporter says, such as `containerimage.digest`.

    An exception on the way out, be it an interrupt, cancels the build on the worker. SIGTERM does
    the same as an interrupt.

    Raises:
        BuildError: with the end of the log of the step that failed.
        ImagekitError: something of this machine's that the worker asked for could not be given.
    """
    build = _Build(transport, listener)
    folders = [each.folder for each in (*request.cache_from, *request.cache_to) if each.folder]
    with terminable(), Session(transport, replace(offer, folders=folders)) as session:
        try:
            response = build.run(request, session.identifier)
        except grpc.RpcError as error:
            raise session.failure or build.explained(error) from error
    written = response.get("cache.manifest")
    for cache in request.cache_to:
        if cache.folder is not None and written:
            cache.folder.keep(json.loads(written))
    return response


@final
class _Build:
    def __init__(self, transport: Transport, listener: Listener) -> None:
        self.reference = secrets.token_hex(12)
        self._transport = transport
        self._listener = listener
        self._reader = Reader()

    def run(self, request: Request, session: str) -> dict[str, str]:
        channel = self._transport.channel
        answer = rpc.solve(channel).future(request.message(self.reference, session))
        # Only asked now: a worker does not know a build before it was told of it.
        updates = rpc.status(channel)({"Ref": self.reference})
        watcher = threading.Thread(target=self._watch, args=(updates,), daemon=True)
        watcher.start()
        try:
            with told_of_interrupts(answer.cancel):
                if request.given is not None:
                    give(channel, self.reference, request.given)
                response: dict[str, str] = answer.result().get("ExporterResponse", {})
        except grpc.FutureCancelledError as error:
            raise BuildError("interrupted; the worker was told to stop") from error
        finally:
            answer.cancel()
            # The log's end comes after the answer.
            watcher.join(_STATUS_SECONDS)
            updates.cancel()
            watcher.join()
        return response

    def explained(self, error: Any) -> BuildError:
        """The worker's error, with what the failed step printed last."""
        failure = self._transport.failure
        said = failure.message if failure else _without_prefixes(error.details() or "")
        where = f"building on {self._transport.address}"
        if error.code() == grpc.StatusCode.UNAVAILABLE:
            step, printed = self._reader.running_step or ("", "")
            during = f" during {step!r}" if step else ""
            return BuildError(
                f"{where}: the connection to the worker was lost{during}: {said}{_log(printed)}",
                hint="it died, was restarted or can't be reached; build again",
            )
        hint = None
        if _FULL in said.lower():
            hint = "free space on the worker: `docker builder prune`, `buildctl prune`"
        elif any(mark in said for mark in _PARSE):
            hint = "the Dockerfile is imagekit's own: please report this with the spec"
        failed = self._reader.failed_step
        if failed is None:
            return BuildError(f"{where}: {said}", hint=hint)
        name, output = _MOUNTS.sub("", failed[0]), failed[1]
        if _FULL in output.lower() and hint is None:
            hint = "the step ran out of disk space on the worker"
        return BuildError(f"{where}: {name}: {said}{_log(output)}", hint=hint)

    def _watch(self, updates: Any) -> None:
        try:
            for response in updates:
                for event in self._reader.events(response):
                    self._listener.hear(event)
        except grpc.RpcError:
            return  # the answer's own error says more


def _log(output: str) -> str:
    return "".join(f"\n  | {line}" for line in output.splitlines()[-_LINES_SHOWN:])


def _entries(caches: Sequence[Cache]) -> list[dict[str, Any]]:
    return [{"Type": cache.kind, "Attrs": dict(cache.options)} for cache in caches]


def _without_prefixes(text: str) -> str:
    for prefix in ("failed to solve: ", "failed to solve with frontend dockerfile.v0: "):
        text = text.removeprefix(prefix)
    return text.strip() or "it failed and did not say why"
