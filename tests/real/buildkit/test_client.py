# SPDX-License-Identifier: Apache-2.0
"""The client against the BuildKit of a real engine, by each way to reach it that is here."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagekit.buildkit.endpoint import find_endpoint
from imagekit.buildkit.engine import Engine
from imagekit.buildkit.session import Offer
from imagekit.buildkit.solve import Request, solve
from imagekit.buildkit.status import Event, StepEnded, StepStarted
from imagekit.buildkit.transport import Transport, open_transport
from imagekit.buildkit.tree import Entry, arranged
from imagekit.buildkit.workers import describe
from imagekit.errors import BuildError, EngineError
from tests.fakes.certificates import Authority
from tests.fakes.worker_pipe import WorkerPipe

pytestmark = pytest.mark.docker

CONTEXT = arranged(
    [
        Entry.made("plain", b"1", 0o640),
        Entry.made("program", b"2", 0o755),
        Entry.made("setuid", b"3", 0o4755),
        Entry.made("empty", b""),
        Entry.made("large", bytes(range(256)) * 8192),
        Entry.folder("folder/sticky", 0o1777),
        Entry.made("folder/ünïcode \\ *?[a] 'q\"", b"4"),
        Entry.link("link", "folder/../plain"),
        Entry.link("dangling", "/nowhere"),
        *(Entry.made(f"many/{number:04}", str(number).encode()) for number in range(1000)),
        Entry.made("ignored/a.txt", b"5"),
        Entry.made("ignored/kept.md", b"6"),
        Entry.made(".dockerignore", b"ignored\n!ignored/*.md\n"),
    ]
)


class Events(list[Event]):
    """Keeps what it hears."""

    hear = list.append


@pytest.fixture
def engine() -> Engine:
    return Engine(find_endpoint(os.environ))


@pytest.fixture
def transport(engine: Engine) -> Iterator[Transport]:
    made = open_transport("docker", os.environ)
    yield made
    made.close()


def built(
    transport: Transport, dockerfile: str, context: tuple[Entry, ...] = (), **offered: object
) -> dict[str, tarfile.TarInfo]:
    """What the image's root holds, by the exporter that sends it back."""
    with tarfile.open(fileobj=sent(transport, dockerfile, context, **offered)) as archive:
        return {member.name.rstrip("/"): member for member in archive}


def sent(
    transport: Transport, dockerfile: str, context: tuple[Entry, ...] = (), **offered: object
) -> io.BytesIO:
    result = io.BytesIO()
    trees = {
        "dockerfile": arranged([Entry.made("Dockerfile", dockerfile.encode())]),
        "context": context,
    }
    offer = Offer(trees, result=result, **offered)  # type: ignore[arg-type]
    solve(transport, Request(exporter="tar"), offer, Events())
    result.seek(0)
    return result


def test_a_context_arrives_as_it_is(transport: Transport) -> None:
    """Kinds, modes, targets, names and bytes, and of ignored files what is taken back."""
    archive = tarfile.open(fileobj=sent(transport, "FROM scratch\nCOPY . /\n", CONTEXT))  # noqa: SIM115
    with archive:
        found = {member.name.rstrip("/"): member for member in archive}
        expected = {each.path: each for each in CONTEXT if each.path != "ignored/a.txt"}
        assert set(found) == set(expected)
        for path, entry in expected.items():
            member = found[path]
            assert (member.isdir(), member.issym()) == (entry.is_folder, entry.target is not None)
            assert member.linkname == (entry.target or "")
            if entry.target is None:
                assert member.mode == entry.mode, path
            if entry.is_file:
                stream = archive.extractfile(member)
                assert stream is not None
                assert stream.read() == b"".join(entry.chunks())


def test_a_changed_file_arrives_though_size_and_name_are_the_same(transport: Transport) -> None:
    """The worker keeps the context between builds, and compares what it is told of it."""
    for data in (b"one", b"two", b"six"):
        archive = sent(transport, "FROM scratch\nCOPY f /\n", (Entry.made("f", data),))
        with tarfile.open(fileobj=archive) as found:
            stream = found.extractfile("f")
            assert stream is not None
            assert stream.read() == data


def test_a_file_that_changes_while_it_is_read_is_our_error(
    transport: Transport, tmp_path: Path
) -> None:
    """Not the worker's words for it."""
    source = tmp_path / "f"
    source.write_text("later")
    entry = Entry("f", 0o644, source, None, 5, "0" * 64)
    with pytest.raises(BuildError, match="changed during the build"):
        sent(transport, "FROM scratch\nCOPY f /\n", (entry,))


def test_steps_are_told_with_their_times(transport: Transport) -> None:
    """Each starts once and ends once; the second time it is cached."""
    dockerfile = Entry.made("Dockerfile", b"FROM scratch\nCOPY f /steps\n")
    trees = {"dockerfile": (dockerfile,), "context": (Entry.made("f", b"steps"),)}
    ended: list[StepEnded] = []
    names: dict[int, str] = {}
    for _ in range(2):
        events = Events()
        offer = Offer(trees, result=io.BytesIO())
        solve(transport, Request(exporter="tar"), offer, events)
        names = {e.number: e.name for e in events if isinstance(e, StepStarted)}
        ended = [e for e in events if isinstance(e, StepEnded)]
        assert len(ended) == len(names) == len({e.number for e in ended})
    assert [e.cached for e in ended if "COPY" in names[e.number]] == [True]


@pytest.mark.parametrize(
    ("dockerfile", "message"),
    [
        ("FROM scratch\nCOPY missing /\n", "missing"),
        ("FROM scratch\nNONSENSE x\n", "(?i)unknown instruction: nonsense"),
        ("", "(?i)empty|no build stage|no instructions"),
    ],
)
def test_a_bad_dockerfile_is_one_clear_error(
    transport: Transport, dockerfile: str, message: str
) -> None:
    """In the frontend's words, without its chain of prefixes."""
    with pytest.raises(BuildError, match=message) as raised:
        sent(transport, dockerfile)
    assert "failed to solve" not in raised.value.message


def test_a_missing_engine_is_told_before_anything_else(tmp_path: Path) -> None:
    """With the path, and without a word of gRPC."""
    with pytest.raises(EngineError, match=r"connecting to the Docker Engine at unix://.*/none"):
        open_transport("docker", {"DOCKER_HOST": f"unix://{tmp_path}/none"})


def test_a_worker_at_a_unix_socket(engine: Engine, tmp_path: Path) -> None:
    """Its session is a call of its own API, not an upgrade of the engine's."""
    with WorkerPipe(engine, tmp_path) as pipe:
        transport = open_transport(pipe.address, os.environ)
        assert "linux/amd64" in describe(transport).platforms
        assert "f" in built(transport, "FROM scratch\nCOPY f /\n", (Entry.made("f", b"1"),))
        transport.close()


def test_a_worker_at_a_port_with_mutual_tls(engine: Engine, tmp_path: Path) -> None:
    """Who has the right certificate gets in, and others are told one clear error."""
    authority = Authority.new(tmp_path / "right")
    with WorkerPipe(engine, tmp_path, authority.server()) as pipe:
        transport = open_transport(pipe.address, os.environ, authority.issue("client"))
        assert "f" in built(transport, "FROM scratch\nCOPY f /\n", (Entry.made("f", b"1"),))
        transport.close()
        stranger = Authority.new(tmp_path / "wrong").issue("client")
        for certificates in (stranger, None):
            refused = open_transport(pipe.address, os.environ, certificates)
            with pytest.raises(BuildError, match="asking the BuildKit worker at tcp://"):
                describe(refused)
            refused.close()


def test_a_lost_connection_is_one_clear_error(engine: Engine, tmp_path: Path) -> None:
    """It says what the worker was doing, and ends at once."""
    with WorkerPipe(engine, tmp_path) as pipe:
        transport = open_transport(pipe.address, os.environ)

        class Cutting(Events):
            def hear(self, event: Event) -> None:
                if isinstance(event, StepStarted) and "load build context" in event.name:
                    pipe.cut()

        # Many files, so that the worker is still asking for them.
        entries = arranged(Entry.made(f"m/{n}", str(n).encode() * 50) for n in range(3000))
        dockerfile = (Entry.made("Dockerfile", b"FROM scratch\nCOPY m /m\n"),)
        offer = Offer({"dockerfile": dockerfile, "context": entries}, result=io.BytesIO())
        with pytest.raises(BuildError, match="connection to the worker was lost"):
            solve(transport, Request(exporter="tar"), offer, Cutting())
        transport.close()


def test_addresses_of_no_kind_are_refused() -> None:
    """With the kinds that there are."""
    for address in ("", "worker", "http://x", "unix://relative", "kube-pod://", "ssh://x"):
        with pytest.raises(BuildError, match="not the address"):
            open_transport(address, os.environ)
