# SPDX-License-Identifier: Apache-2.0
"""Caches that a worker keeps elsewhere than in itself: in a folder of ours, and in a registry."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagekit.builders.worker_options import exports, imports
from imagekit.buildkit.session import Offer
from imagekit.buildkit.solve import Request, solve
from imagekit.buildkit.status import Event, StepAmount, StepEnded, StepStarted
from imagekit.buildkit.transport import Transport, open_transport
from imagekit.buildkit.tree import Entry, arranged
from tests.fakes.registry_server import registry

pytestmark = [pytest.mark.worker, pytest.mark.slow]
_PRUNE_ALL = b"\x10\x01"


class Events(list[Event]):
    """Keeps what it hears."""

    hear = list.append

    def number(self, step: str) -> int:
        started = (each for each in self if isinstance(each, StepStarted))
        return next(each.number for each in started if each.name.endswith(step))


@pytest.fixture
def worker() -> Iterator[Transport]:
    made = open_transport(os.environ["BUILDKIT_HOST"], os.environ)
    yield made
    made.close()


def forget(worker: Transport) -> None:
    """Make the worker forget all that it has built."""
    list(worker.channel.unary_stream("/moby.buildkit.v1.Control/Prune")(_PRUNE_ALL))


def copied(worker: Transport, data: bytes, source: str, target: str, folder: Path) -> bool:
    """Build an image that holds `data`; whether its layer was found instead of made."""
    trees = {
        "dockerfile": arranged([Entry.made("Dockerfile", b"FROM scratch\nCOPY f /kept\n")]),
        "context": arranged([Entry.made("f", data)]),
    }
    request = Request(cache_from=imports(source, folder), cache_to=exports(target, folder))
    events = Events()
    solve(worker, request, Offer(trees), events)
    return any(
        isinstance(each, StepAmount | StepEnded)
        and each.number == events.number("COPY f /kept")
        and (each.what == "extracting" if isinstance(each, StepAmount) else each.cached)
        for each in events
    )


def test_a_folder_of_this_machine_holds_the_cache(worker: Transport, tmp_path: Path) -> None:
    """A worker that has forgotten all reads it there; a later build adds what is new."""
    there, here = "type=local,dest=a folder é", "type=local,src=a folder é"
    data, other = os.urandom(3 << 20), os.urandom(64)
    assert not copied(worker, data, here, there, tmp_path)
    forget(worker)
    assert copied(worker, data, here, "", tmp_path)
    forget(worker)
    assert not copied(worker, data, "", "", tmp_path)
    assert not copied(worker, other, here, there, tmp_path)
    forget(worker)
    assert copied(worker, other, here, "", tmp_path)

    folder = tmp_path / "a folder é"
    index = json.loads((folder / "index.json").read_bytes())
    assert len(index["manifests"]) == 1
    assert [] == [*folder.rglob("*.tmp")]


@pytest.mark.registry
def test_a_registry_holds_the_cache(worker: Transport, tmp_path: Path) -> None:
    """Once there was nothing there yet, which stops no build."""
    data = os.urandom(1000)
    with registry(tmp_path / "registry") as server:
        name = f"type=registry,ref={server.address}/caches/test"
        assert not copied(worker, data, name, name, tmp_path)
        forget(worker)
        assert copied(worker, data, name, "", tmp_path)
