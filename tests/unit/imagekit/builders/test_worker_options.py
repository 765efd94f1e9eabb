# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.builders.worker_options import addresses, certificates, exports, imports
from imagekit.buildkit.cache_folder import CacheFolder
from imagekit.buildkit.endpoint import Certificates
from imagekit.buildkit.solve import Cache
from imagekit.errors import BuildError

BOTH = ("linux/amd64", "linux/arm64")


def test_one_address_is_every_platforms() -> None:
    """The spec's comes before the environment's."""
    environ = {"BUILDKIT_HOST": "tcp://far:1"}
    assert addresses({}, environ, BOTH) == dict.fromkeys(BOTH, "tcp://far:1")
    assert addresses({"address": "unix:///w"}, environ, BOTH[:1]) == {"linux/amd64": "unix:///w"}


def test_platforms_may_have_addresses_of_their_own() -> None:
    """A comma between them, blanks wherever people like them."""
    text = "linux/amd64=tcp://a:1, linux/arm64=kube-pod://b?namespace=n"
    assert addresses({"address": text}, {}, BOTH) == {
        "linux/amd64": "tcp://a:1",
        "linux/arm64": "kube-pod://b?namespace=n",
    }


def test_a_platform_without_an_address_is_named() -> None:
    """And so is no address at all, with where to write one."""
    with pytest.raises(BuildError, match="no BuildKit worker is named for linux/arm64"):
        addresses({"address": "linux/amd64=tcp://a:1"}, {}, BOTH)
    with pytest.raises(BuildError, match="no BuildKit worker is named") as raised:
        addresses({}, {}, BOTH)
    assert "BUILDKIT_HOST" in str(raised.value.hint)


def test_certificates_are_relative_to_the_spec() -> None:
    """None of them means no TLS; a certificate without its key is an error."""
    found = certificates({"tls_ca": "ca.pem", "tls_cert": "/c.pem", "tls_key": "k"}, Path("/spec"))
    assert found == Certificates(Path("/spec/ca.pem"), Path("/c.pem"), Path("/spec/k"))
    assert certificates({}, Path("/spec")) is None
    with pytest.raises(BuildError, match="belong together"):
        certificates({"tls_cert": "c"}, Path("/spec"))


def test_caches_are_written_as_buildx_writes_them(tmp_path: Path) -> None:
    """Several with semicolons; a name alone is a registry's; a folder is relative to the spec."""
    assert exports("type=registry,ref=reg.example/c,mode=max; reg.example/d", tmp_path) == (
        Cache("registry", {"ref": "reg.example/c", "mode": "max"}),
        Cache("registry", {"ref": "reg.example/d"}),
    )
    (kept,) = exports("type=local,dest=cache,mode=max", tmp_path)
    assert kept.folder is not None
    assert kept.options == {"dest": kept.folder.identifier, "mode": "max"}
    for text in ("type=local,src=cache", "ref=reg.example/c", "type=tape,name=x"):
        with pytest.raises(BuildError):
            exports(text, tmp_path)


def test_a_folder_is_read_by_what_was_kept_there_last(tmp_path: Path) -> None:
    """One without anything is left out; others' names in it stay."""
    assert imports("type=local,src=cache", tmp_path) == ()
    CacheFolder(tmp_path / "cache", "other").keep({"digest": f"sha256:{'b' * 64}", "size": 1})
    folder = CacheFolder(tmp_path / "cache")
    for letter in "ca":
        folder.keep({"digest": f"sha256:{letter * 64}", "size": 1})
    (found,) = imports("type=local,src=cache", tmp_path)
    assert found.options == {"src": folder.identifier, "digest": f"sha256:{'a' * 64}"}
    (other,) = imports(f"type=local,src={tmp_path}/cache,tag=other", tmp_path)
    assert other.options["digest"] == f"sha256:{'b' * 64}"


@pytest.mark.parametrize(
    ("written", "own"),
    [
        ("reg.example:5/c", "type=registry,ref=reg.example:5/c:latest-linux-arm64"),
        ("type=registry,ref=a/c:x,mode=max", "type=registry,ref=a/c:x-linux-arm64,mode=max"),
        ("type=gha", "type=gha,scope=buildkit-linux-arm64"),
        ("type=s3,bucket=b,name=n", "type=s3,bucket=b,name=n-linux-arm64"),
    ],
)
def test_several_platforms_keep_caches_apart(tmp_path: Path, written: str, own: str) -> None:
    """Each writes under a name of its own, and reads that and what the written name means."""
    assert exports(written, tmp_path, "linux/arm64") == exports(own, tmp_path)
    both = (*imports(own, tmp_path), *imports(written, tmp_path))
    assert imports(written, tmp_path, "linux/arm64") == both


def test_caches_that_have_no_name_of_ours_stay_what_they_are(tmp_path: Path) -> None:
    """One by its digest, which is read once, and the one inside of the image."""
    for text in (f"a/c@sha256:{'0' * 64}", "type=inline"):
        assert imports(text, tmp_path, "linux/arm64") == imports(text, tmp_path)
    assert exports("type=inline", tmp_path, "linux/arm64") == exports("type=inline", tmp_path)


def test_a_folder_keeps_the_caches_of_several_platforms(tmp_path: Path) -> None:
    """Under names of their own; one that was kept for a single platform is read, too."""
    text = "type=local,{}=cache"
    for letter, platform in (("a", "linux/amd64"), ("b", "linux/arm64"), ("c", "")):
        (cache,) = exports(text.format("dest"), tmp_path, platform)
        assert cache.folder is not None
        cache.folder.keep({"digest": f"sha256:{letter * 64}", "size": 1})
    found = imports(text.format("src"), tmp_path, "linux/arm64")
    assert [each.options["digest"][-1] for each in found] == ["b", "c"]
