# SPDX-License-Identifier: Apache-2.0
"""A fault proxy before a real registry: each fault is survived, or is one error and no more."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from imagekit.errors import ImagekitError, IntegrityError, RegistryError
from imagekit.oci.image import Image
from imagekit.oci.validate import validate
from imagekit.progress import Silent
from imagekit.progress.board import Board
from imagekit.progress.plain import Plain
from imagekit.registry.access import Access
from imagekit.registry.client import RegistryClient
from imagekit.registry.connection import Connection
from imagekit.registry.push import PushReport, Uploader
from imagekit.registry.reference import RegistryReference
from imagekit.registry.transport import Transport
from tests.fakes.fault_proxy import Fault, FaultProxy, fault_proxy
from tests.fakes.registry_server import Server

pytestmark = pytest.mark.registry

PART_BYTES = 1_000_000
BUSY = {"Retry-After": "0"}


def at(address: str, name: str) -> RegistryReference:
    return RegistryReference.parse(f"{address}/{name}")


def push_in_parts(proxy: FaultProxy, access: Access, image: Image, name: str) -> PushReport:
    """With parts so small that the largest layer of the tests has several."""
    reference = at(proxy.address, name)
    transport = Transport(access)
    connection = Connection(reference.host, access, lambda: transport)
    with Uploader(connection, reference, Silent(), part_bytes=PART_BYTES) as uploader:
        return uploader.push_image(image)


SURVIVED = {
    "head-500": Fault("^HEAD.*blobs", "answer", 2, 500),
    "head-429": Fault("^HEAD.*blobs", "answer", 2, 429, BUSY),
    "begin-503": Fault("^POST", "answer", 3, 503),
    "begin-lost": Fault("^POST", "lose answer", 2),
    "put-500": Fault("^PUT.*blobs", "answer", 3, 500),
    "put-cut-early": Fault("^PUT.*blobs", "cut up", 2, after=0),
    "put-cut-late": Fault("^PUT.*blobs", "cut up", 2, after=200_000),
    "put-lost": Fault("^PUT.*blobs", "lose answer", 2),
    "put-flipped": Fault("^PUT.*blobs", "flip up", 2),
    "put-slow": Fault("^PUT.*blobs", "slow", 2, seconds=0.3),
    "manifest-500": Fault("^PUT.*manifests", "answer", 2, 500),
    "manifest-lost": Fault("^PUT.*manifests", "lose answer", 1),
    "manifest-429": Fault("^PUT.*manifests", "answer", 2, 429, BUSY),
    "upload-forgotten": Fault("^PUT.*blobs", "answer", 1, 404),
    "no-mount": Fault("^POST", "no mount", 100),
    "date": Fault("^POST", "answer", 1, 503, {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}),
    "wrong-digest-header": Fault("^HEAD.*blobs", "headers", 9, 0, {"Docker-Content-Digest": "x"}),
}


@pytest.mark.parametrize("name", SURVIVED)
def test_a_push_survives(server: Server, access: Access, image: Image, name: str) -> None:
    """And what arrives is the image, whole."""
    fault = dataclasses.replace(SURVIVED[name])
    with fault_proxy(server.address, fault) as proxy:
        RegistryClient(access).push(image, at(proxy.address, f"survives/{name}:1"))
        assert fault.times < SURVIVED[name].times
    pulled = RegistryClient(access).pull(at(server.address, f"survives/{name}:1"))
    assert pulled.digest == image.digest
    validate(pulled)


IN_PARTS = {
    "none": Fault("^PATCH", "slow", 1),
    "cut-early": Fault("^PATCH", "cut up", 2, after=0),
    "cut-late": Fault("^PATCH", "cut up", 2, after=700_000),
    "cut-often": Fault("^PATCH", "cut up", 4, after=1000),
    "lost": Fault("^PATCH", "lose answer", 2),
    "busy": Fault("^PATCH", "answer", 2, 429, BUSY),
    "broken": Fault("^PATCH", "answer", 2, 502),
    "out-of-order": Fault("^PATCH", "answer", 2, 416),
    "forgotten": Fault("^PATCH", "answer", 2, 404),
    "never": Fault("^PATCH", "answer", 100, 405),
    "flipped": Fault("^PATCH", "flip up", 1),
    "asking-fails": Fault("^GET.*uploads", "answer", 1, 500),
}


@pytest.mark.parametrize("name", IN_PARTS)
def test_a_push_in_parts_survives(server: Server, access: Access, image: Image, name: str) -> None:
    """It goes on where it was, or begins anew where the registry can't."""
    fault = dataclasses.replace(IN_PARTS[name])
    also = [Fault("^PATCH", "cut up", 1, after=5000)] if name == "asking-fails" else []
    with fault_proxy(server.address, fault, *also) as proxy:
        push_in_parts(proxy, access, image, f"parts/{name}:1")
        assert fault.times < IN_PARTS[name].times
        assert proxy.lines("^PATCH")
    pulled = RegistryClient(access).pull(at(server.address, f"parts/{name}:1"))
    assert pulled.digest == image.digest
    validate(pulled)


def test_a_part_that_was_not_answered_is_taken_up_again(
    server: Server, access: Access, image: Image
) -> None:
    """The registry is asked how far it came, and only the rest is sent."""
    with fault_proxy(server.address, Fault("^PATCH", "answer", 1, 502)) as proxy:
        report = push_in_parts(proxy, access, image, "resumed:1")
        assert proxy.lines("^GET.*uploads")
        assert len(proxy.lines("^POST")) == len(report.uploaded)


ERRORS = {
    "begin-403": (Fault("^POST", "answer", 99, 403), "not allowed to write.*403"),
    "begin-401": (Fault("^POST", "answer", 99, 401), "not allowed to write.*401"),
    "begin-404": (Fault("^POST", "answer", 99, 404), "HTTP 404"),
    "begin-405": (Fault("^POST", "answer", 99, 405), "HTTP 405"),
    "begin-nowhere": (Fault("^POST", "headers", 99, headers={"Location": ""}), "no place"),
    "begin-abroad": (
        Fault("^POST", "headers", 99, headers={"Location": "http://storage.example/upload"}),
        "not TLS",
    ),
    "begin-nonsense": (Fault("^POST", "headers", 99, headers={"Location": "http://["}), "sense"),
    "put-413": (Fault("^PUT.*blobs", "answer", 99, 413), "HTTP 413"),
    "put-507": (Fault("^PUT.*blobs", "answer", 99, 507), "HTTP 507"),
    "put-always-flipped": (Fault("^PUT.*blobs", "flip up", 99), "DIGEST_INVALID"),
    "put-always-cut": (Fault("^PUT.*blobs", "cut up", 99, after=10), "5 times"),
    "put-redirect": (
        Fault("^PUT.*blobs", "answer", 99, 307, {"Location": "/elsewhere"}),
        "redirects",
    ),
    "manifest-400": (Fault("^PUT.*manifests", "answer", 99, 400), "HTTP 400"),
    "manifest-flipped": (Fault("^PUT.*manifests", "flip up", 99), "MANIFEST_INVALID"),
    "manifest-other": (
        Fault("^PUT.*manifests", "headers", 99, headers={"Docker-Content-Digest": "sha256:0"}),
        "other bytes",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_push_fails_clearly(server: Server, access: Access, image: Image, name: str) -> None:
    """One error that names the place; the next run, without the fault, is right."""
    fault, words = ERRORS[name]
    reference = at(server.address, f"fails/{name}:1")
    with fault_proxy(server.address, dataclasses.replace(fault)) as proxy:
        with pytest.raises(RegistryError, match=words) as caught:
            RegistryClient(access).push(image, at(proxy.address, f"fails/{name}:1"))
        assert f"pushing {proxy.address}/fails/{name}" in caught.value.message
    if name != "manifest-other":
        assert RegistryClient(access).manifest_digest(reference) is None
    RegistryClient(access).push(image, reference)
    validate(RegistryClient(access).pull(reference))


def test_a_place_for_uploads_may_be_a_path(server: Server, access: Access, image: Image) -> None:
    """As well as the whole URL that the registry names in the other tests."""
    with fault_proxy(server.address, Fault(".", "relative", 1000)) as proxy:
        push_in_parts(proxy, access, image, "relative:1")
    validate(RegistryClient(access).pull(at(server.address, "relative:1")))


PULLED = {
    "manifest-500": Fault("manifests", "answer", 2, 500),
    "manifest-429": Fault("manifests", "answer", 2, 429, BUSY),
    "manifest-cut": Fault("manifests", "cut down", 2, after=50),
    "config-cut": Fault("blobs", "cut down", 2, after=0),
    "layer-cut": Fault("blobs/{layer}", "cut down", 3, after=1_000_000),
    "layer-cut-at-once": Fault("blobs/{layer}", "cut down", 3, after=0),
    "layer-500": Fault("blobs/{layer}", "answer", 3, 500),
    "layer-slow": Fault("blobs/{layer}", "slow", 1, seconds=0.3),
    "no-digest-header": Fault("manifests", "headers", 9, headers={"Docker-Content-Digest": ""}),
    "wrong-digest-header": Fault(
        "manifests", "headers", 9, headers={"Docker-Content-Digest": "sha256:" + "1" * 64}
    ),
}


@pytest.mark.parametrize("name", PULLED)
def test_a_pull_survives(server: Server, access: Access, image: Image, name: str) -> None:
    """What was cut goes on where it stopped; every byte is checked."""
    RegistryClient(access).push(image, at(server.address, f"pulled/{name}:1"))
    where = PULLED[name].where.format(layer=image.layers[2].digest)
    fault = dataclasses.replace(PULLED[name], where=where)
    with fault_proxy(server.address, fault) as proxy:
        pulled = RegistryClient(access).pull(at(proxy.address, f"pulled/{name}:1"))
        assert pulled.digest == image.digest
        validate(pulled)
        assert fault.times < PULLED[name].times
        if name == "layer-cut":
            sizes = [item.headers.get("Range") for item in proxy.seen if where[6:] in item.line]
            assert sizes[:3] == [None, "bytes=1000000-", "bytes=2000000-"]


def test_a_registry_without_ranges_is_read_from_the_start_again(
    server: Server, access: Access, image: Image
) -> None:
    """What came already is skipped."""
    RegistryClient(access).push(image, at(server.address, "noranges:1"))
    cut = Fault("blobs", "cut down", 3, after=500_000)
    ignore = Fault("blobs", "no range", 99)
    with fault_proxy(server.address, cut, ignore) as proxy:
        pulled = RegistryClient(access).pull(at(proxy.address, "noranges:1"))
        with pulled.layers[2].open() as stream, image.layers[2].open() as own:
            assert stream.read() == own.read()


LIES = {
    "layer-flipped": (Fault("blobs/{layer}", "flip down", 9), IntegrityError, "another digest"),
    "config-flipped": (Fault("blobs/{config}", "flip down", 9), ImagekitError, "another digest"),
    "manifest-flipped": (Fault("manifests", "flip down", 9), ImagekitError, "JSON"),
    "layer-missing": (Fault("blobs/{layer}", "answer", 9, 404), RegistryError, "HTTP 404"),
    "layer-short": (
        Fault("blobs/{layer}", "answer", 99, 200, body=b"short"),
        ImagekitError,
        "bytes came|size",
    ),
    "layer-long": (
        Fault("blobs/{layer}", "answer", 99, 200, body=bytes(5_000_000)),
        IntegrityError,
        "size|digest",
    ),
}


def read(client: RegistryClient, reference: RegistryReference) -> None:
    with client.pull(reference).layers[2].open() as stream:
        stream.read()


@pytest.mark.parametrize("name", LIES)
def test_a_pull_fails_clearly(server: Server, access: Access, image: Image, name: str) -> None:
    """Bytes that are not what was promised are one error, however often they come."""
    fault, kind, words = LIES[name]
    RegistryClient(access).push(image, at(server.address, f"lies/{name}:1"))
    where = fault.where.format(layer=image.layers[2].digest, config=image.config_digest)
    fault = dataclasses.replace(fault, where=where)
    with fault_proxy(server.address, fault) as proxy, pytest.raises(kind, match=words):
        read(RegistryClient(access), at(proxy.address, f"lies/{name}:1"))
    validate(RegistryClient(access).pull(at(server.address, f"lies/{name}:1")))


def test_progress_counts_what_is_done_once(
    server: Server, access: Access, image: Image, tmp_path: Path
) -> None:
    """Bytes that were sent in vain are taken back."""
    log = tmp_path / "progress"
    fault = Fault("^PUT.*blobs", "cut up", 1, after=100_000)
    with fault_proxy(server.address, fault) as proxy, log.open("w") as stream:
        client = RegistryClient(access, Board([Plain(stream)]))
        client.push(image, at(proxy.address, "progress:1"))
    done = [line for line in log.read_text().splitlines() if " DONE " in line]
    assert len(done) == len(image.layers) + 1
    assert any(line.endswith("s (3.0 MB)") for line in done)


def test_no_http_library_is_loaded_before_a_registry_is_asked() -> None:
    """Builds that touch no registry don't pay for it."""
    program = (
        "import sys\nfrom imagekit.registry.client import RegistryClient\n"
        "RegistryClient()\nprint({'http.client', 'ssl'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "set()", done.stderr
