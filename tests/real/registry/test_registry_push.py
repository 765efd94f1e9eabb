# SPDX-License-Identifier: Apache-2.0
"""Images into a real registry and out of it, counted request by request."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imagekit.errors import BuildError, IntegrityError, RegistryError
from imagekit.oci.assemble import Settings, assemble
from imagekit.oci.descriptor import Platform
from imagekit.oci.image import Image
from imagekit.oci.index import ImageIndex
from imagekit.oci.layer import FileLayer
from imagekit.oci.layout import write_layout
from imagekit.oci.validate import validate
from imagekit.registry.access import Access
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference
from tests.fakes.fault_proxy import Fault, fault_proxy
from tests.fakes.images import file_layer, image_of
from tests.fakes.registry_server import Server
from tests.house.project import ROOT

pytestmark = pytest.mark.registry

PUSHING = """
import sys
from pathlib import Path
from imagekit.oci.layout import read_layout
from imagekit.registry.access import Access
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference
image = read_layout(Path(sys.argv[1]), None, None)
before = int(open("/proc/self/statm").read().split()[1])
client = RegistryClient(Access(environ={}))
client.manifest_digest(RegistryReference.parse(sys.argv[2]))
warm = int(Path("/proc/self/statm").read_text().split()[1])
client.push(image, RegistryReference.parse(sys.argv[2]))
peak = [line for line in open("/proc/self/status") if line.startswith("VmHWM")][0].split()[1]
print(int(peak) // 1024 - warm * 4096 // (1 << 20))
"""


def at(address: str, name: str) -> RegistryReference:
    return RegistryReference.parse(f"{address}/{name}")


def test_what_was_pushed_is_what_is_pulled(server: Server, access: Access, image: Image) -> None:
    """The same bytes, down to the last file; and all of them, once."""
    client = RegistryClient(access)
    reference = at(server.address, "round/trip:1")
    report = client.push(image, reference, tags=("2", "latest"))
    assert len(report.uploaded) == len(image.layers) + 1
    assert str(report.reference) == f"{reference}@{image.digest}"
    for tag in ("1", "2", "latest"):
        pulled = client.pull(at(server.address, f"round/trip:{tag}"))
        assert pulled.digest == image.digest
        validate(pulled)
    assert client.pull(reference.at(image.digest)).config_bytes == image.config_bytes


def test_pulling_reads_no_layer_before_it_is_opened(
    server: Server, access: Access, image: Image
) -> None:
    """Manifest and config are two requests; no layer is even asked after."""
    client = RegistryClient(access)
    client.push(image, at(server.address, "lazy:1"))
    with fault_proxy(server.address) as proxy:
        client = RegistryClient(access)
        pulled = client.pull(at(proxy.address, "lazy:1"))
        assert len(proxy.lines("manifests|blobs")) == 2
        with pulled.layers[0].open() as stream, image.layers[0].open() as own:
            assert stream.read() == own.read()
        assert proxy.lines("blobs")[1:] == [f"GET /v2/lazy/blobs/{image.layers[0].digest}"]


def test_what_is_there_is_not_sent_again(server: Server, access: Access, image: Image) -> None:
    """One request says that nothing has changed."""
    with fault_proxy(server.address) as proxy:
        client = RegistryClient(access)
        client.push(image, at(proxy.address, "again:1"))
        proxy.seen.clear()
        report = client.push(image, at(proxy.address, "again:1"))
        assert proxy.lines() == ["GET /v2/again/manifests/1"]
        assert len(report.present) == len(image.layers) + 1
        assert report.sent_bytes == 0


def test_one_layer_more_costs_that_layer(
    server: Server, access: Access, layers: list[FileLayer], tmp_path: Path
) -> None:
    """Layers that a neighbouring manifest names are not asked after; little else is sent."""
    added = file_layer(tmp_path, {"new": os.urandom(100_000)})
    with fault_proxy(server.address) as proxy:
        client = RegistryClient(access)
        client.push(image_of(*layers), at(proxy.address, "grow:1"), tags=("latest",))
        proxy.seen.clear()
        reference = at(proxy.address, "grow:2")
        report = client.push(image_of(*layers, added), reference, siblings=("latest",))
        assert report.uploaded[0] == added.digest
        assert set(report.present) == {layer.digest for layer in layers}
        assert not [line for line in proxy.lines() if layers[0].digest in line]
        assert proxy.sent_bytes < added.size_bytes + 20_000


def test_layers_of_an_index_count_as_present_too(
    server: Server, access: Access, image: Image
) -> None:
    client = RegistryClient(access)
    arm = assemble(image, [], Settings(), platform=Platform("linux", "arm64"))
    with client.uploader(at(server.address, "index:all")) as uploader:
        report = uploader.push_image(ImageIndex((image, arm)))
    assert len(report.uploaded) == len(image.layers) + 2
    for platform, expected in ((Platform(), image), (Platform("linux", "arm64"), arm)):
        assert client.pull(at(server.address, "index:all"), platform).digest == expected.digest
    with fault_proxy(server.address) as proxy:
        client.push(image, at(proxy.address, "index:one"), siblings=("all",))
        assert proxy.lines("HEAD|POST|PATCH") == []


def test_neighbours_layers_are_mounted(server: Server, access: Access, image: Image) -> None:
    """Pulled from the same registry, or pushed there by the same client: no byte is sent."""
    client = RegistryClient(access)
    client.push(image, at(server.address, "mount/base:1"))
    base = client.pull(at(server.address, "mount/base:1"))
    report = client.push(base, at(server.address, "mount/other:1"))
    layers = {layer.digest for layer in image.layers}
    assert set(report.mounted) == layers | {image.config_digest}
    another = RegistryClient(access)
    base = another.pull(at(server.address, "mount/base:1"))
    report = another.push(base, at(server.address, "mount/fourth:1"))
    assert set(report.mounted) == layers
    with client.uploader(at(server.address, "mount/third:1")) as uploader:
        assert uploader.push_layer(image.layers[0], "mount/base").result() == "mounted"
        assert uploader.push_layer(image.layers[1], "mount/nothing").result() == "uploaded"


def test_a_registry_that_does_not_mount_gets_the_bytes(
    server: Server, access: Access, image: Image
) -> None:
    with fault_proxy(server.address, Fault("POST", "no mount", 100)) as proxy:
        client = RegistryClient(access)
        client.push(image, at(proxy.address, "nomount/base:1"))
        report = client.push(
            client.pull(at(proxy.address, "nomount/base:1")), at(proxy.address, "nomount/other:1")
        )
    assert len(report.uploaded) == len(image.layers) + 1


def test_layers_go_while_the_image_is_still_made(
    server: Server, access: Access, layers: list[FileLayer]
) -> None:
    """From several threads, twice each; each goes once."""
    with fault_proxy(server.address) as proxy:
        with RegistryClient(access).uploader(at(proxy.address, "early:1")) as uploader:
            with ThreadPoolExecutor(6) as pool:
                list(pool.map(uploader.push_layer, [*layers, *layers]))
            report = uploader.push_image(image_of(*layers))
        assert len(report.uploaded) == len(layers) + 1
        assert len(proxy.lines("^PUT.*blobs")) == len(layers) + 1


def test_a_manifest_that_promised_too_much_is_made_good(
    server: Server, access: Access, layers: list[FileLayer], tmp_path: Path
) -> None:
    """A registry may lose a layer of an image that it has: then that is sent after all."""
    client = RegistryClient(access)
    client.push(image_of(*layers), at(server.address, "lossy:1"))
    links = server.folder / "docker/registry/v2/repositories/lossy/_layers/sha256"
    lost = links / layers[1].digest.removeprefix("sha256:") / "link"
    lost.unlink()
    more = image_of(*layers, file_layer(tmp_path, {"more": b"x"}))
    report = client.push(more, at(server.address, "lossy:2"), siblings=("1",))
    assert layers[1].digest in report.uploaded
    validate(client.pull(at(server.address, "lossy:2")))


def test_an_image_under_another_images_digest_is_refused(
    server: Server, access: Access, image: Image
) -> None:
    reference = at(server.address, "x:1").at("sha256:" + "0" * 64)
    with pytest.raises(BuildError, match="the image is sha256:"):
        RegistryClient(access).push(image, reference)


def test_what_is_not_there_is_one_error(server: Server, access: Access) -> None:
    client = RegistryClient(access)
    assert client.manifest_digest(at(server.address, "nothing/here:1")) is None
    assert client.blob_size(at(server.address, "nothing/here:1"), "sha256:" + "0" * 64) is None
    with pytest.raises(BuildError, match="no such image"):
        client.pull(at(server.address, "nothing/here:1"))


def test_a_layer_that_changed_is_never_pushed(
    server: Server, access: Access, layers: list[FileLayer]
) -> None:
    """Other bytes, fewer, or more: an error that names the layer, and no manifest."""
    path = layers[2].path
    whole = path.read_bytes()
    for number, wrong in enumerate((whole[:-1] + b"\1", whole[:-1], whole + b"\0", None)):
        path.unlink() if wrong is None else path.write_bytes(wrong)
        reference = at(server.address, f"changed/{number}:1")
        error = BuildError if wrong is None else IntegrityError
        client = RegistryClient(access)
        with pytest.raises(error, match=layers[2].digest):
            client.push(image_of(*layers), reference)
        assert client.manifest_digest(reference) is None


def test_two_pushes_of_one_image_at_once_both_succeed(
    server: Server, access: Access, image: Image
) -> None:
    start = threading.Barrier(2)

    def push(number: int) -> str:
        start.wait(10)
        report = RegistryClient(access).push(image, at(server.address, f"twice:{number}"))
        return report.reference.digest

    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(push, (1, 2))) == {image.digest}
    validate(RegistryClient(access).pull(at(server.address, "twice:2")))


@pytest.mark.skopeo
def test_skopeo_reads_what_was_pushed(
    server: Server, access: Access, image: Image, tmp_path: Path
) -> None:
    """And we read what skopeo pushed, in Docker's own format as well."""
    client = RegistryClient(access)
    client.push(image, at(server.address, "outside:1"))
    source = f"docker://{server.address}/outside:1"
    inspected = skopeo("inspect", "--tls-verify=false", source)
    assert json.loads(inspected)["Digest"] == image.digest
    skopeo("copy", "--src-tls-verify=false", source, f"oci:{tmp_path}/layout:1")
    target = f"docker://{server.address}/outside:docker"
    flags = ("--src-tls-verify=false", "--dest-tls-verify=false", "--format=v2s2")
    skopeo("copy", *flags, source, target)
    pulled = client.pull(at(server.address, "outside:docker"))
    assert "docker" in pulled.media_type
    validate(pulled)
    report = client.push(pulled, at(server.address, "outside-again:1"))
    assert report.reference.digest == pulled.digest


def skopeo(*words: str) -> str:
    done = subprocess.run(
        ["skopeo", *words], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def layout(folder: Path, *layers: FileLayer) -> Path:
    write_layout(image_of(*layers), folder / "layout", None)
    return folder / "layout"


def test_memory_stays_flat(server: Server, tmp_path: Path) -> None:
    """Pushing 200 MB in one layer takes a small part of that, as it goes from disk."""
    big = file_layer(tmp_path, {"big": os.urandom(200_000_000)})
    folder = layout(tmp_path, big)
    command = [sys.executable, "-c", PUSHING, str(folder), f"{server.address}/flat:1"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 40


def test_a_push_that_was_killed_is_done_by_the_next(
    server: Server, access: Access, tmp_path: Path
) -> None:
    """Killed at three moments: no manifest stands there then, and the next run is right."""
    parts = [file_layer(tmp_path, {f"{number}": os.urandom(500_000)}) for number in range(16)]
    folder = layout(tmp_path, *parts)
    client = RegistryClient(access)
    reference = at(server.address, "killed:1")
    with fault_proxy(server.address, Fault("PUT.*blobs", "slow", 1000, seconds=0.3)) as proxy:
        for puts in (1, 3, 6):
            command = [sys.executable, "-c", PUSHING, str(folder), f"{proxy.address}/killed:1"]
            with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
                for _ in range(1000):
                    if len(proxy.lines("^PUT")) >= puts or process.poll() is not None:
                        break
                    time.sleep(0.02)
                process.send_signal(signal.SIGKILL)
            assert process.returncode == -signal.SIGKILL
            assert client.manifest_digest(reference) is None
            proxy.seen.clear()
    report = client.push(image_of(*parts), reference)
    assert len(report.present) >= 1
    validate(client.pull(reference))


def test_a_push_that_fails_stops_soon(server: Server, access: Access, tmp_path: Path) -> None:
    """The first refusal ends it: what has not begun by then is not sent."""
    parts = [file_layer(tmp_path, {f"{at}": os.urandom(50_000)}) for at in range(40)]
    refusal = Fault("^POST", "answer", 1, status=403)
    with fault_proxy(server.address, refusal) as proxy:
        with pytest.raises(RegistryError, match="not allowed to write"):
            RegistryClient(access).push(image_of(*parts), at(proxy.address, "stops:1"))
        assert len(proxy.lines("^PUT")) < 30
        assert proxy.lines("^PUT.*manifests") == []


def test_uploader_is_left_by_an_error_without_a_manifest(
    server: Server, access: Access, layers: list[FileLayer]
) -> None:
    reference = at(server.address, "left:1")
    uploader = RegistryClient(access).uploader(reference)
    with contextlib.suppress(ZeroDivisionError), uploader:
        uploader.push_layer(layers[2])
        raise ZeroDivisionError
    assert RegistryClient(access).manifest_digest(reference) is None
