# SPDX-License-Identifier: Apache-2.0
"""A Release file counts only when a key of the release signed it, for the suite, in time."""

from collections.abc import Mapping
from datetime import datetime, timezone
from importlib import resources
from typing import Any

import pysequoia
import pytest

from imagekit.debian.release import SuiteRelease, Trust, fetch_release
from imagekit.debian.releases import release_for
from imagekit.errors import FetchError, ImagekitError, IntegrityError

NOW = datetime(2026, 11, 23, tzinfo=timezone.utc)
SHA256 = "a" * 64
TEXT = f"""\
Origin: Debian
Suite: oldstable
Codename: bookworm
Date: Sat, 11 Jul 2026 10:16:37 UTC
Valid-Until: Sat, 28 Nov 2026 00:53:02 UTC
Acquire-By-Hash: yes
SHA256:
 {SHA256} 1234 main/binary-amd64/Packages.xz
"""


class Signer:
    def __init__(self) -> None:
        self._key = pysequoia.Tsk.generate("Test archive <archive@mirror.test>")
        self.public = str(self._key.extract_certificate()).encode()

    def sign(self, text: str) -> bytes:
        signed = pysequoia.sign(
            self._key.signer(), text.encode(), mode=pysequoia.SignatureMode.CLEAR
        )
        return bytes(signed)


@pytest.fixture(scope="module")
def archive() -> Signer:
    return Signer()


def _fetch(
    files: Mapping[str, bytes], trust: Trust, suite: str = "bookworm", hosts: str = "a"
) -> SuiteRelease:
    def get(url: str) -> bytes:
        if url not in files:
            raise FetchError(f"{url}: HTTP 404 Not Found")
        return files[url]

    return fetch_release([f"http://{host}.test" for host in hosts], suite, trust, get)


def _url(host: str = "a", suite: str = "bookworm") -> str:
    return f"http://{host}.test/dists/{suite}/InRelease"


def test_a_good_release_is_read(archive: Signer) -> None:
    """Date, by-hash and the files with digest and size come out of the signed text."""
    release = _fetch({_url(): archive.sign(TEXT)}, Trust((archive.public,), NOW))
    assert release.date == datetime(2026, 7, 11, 10, 16, 37, tzinfo=timezone.utc)
    assert release.by_hash
    assert release.files == {"main/binary-amd64/Packages.xz": (SHA256, 1234)}


def test_what_stands_outside_the_signature_is_not_read(archive: Signer) -> None:
    """Text added around the signed part changes nothing."""
    forged = f"SHA256:\n {'b' * 64} 1 main/binary-amd64/Packages.gz\n"
    signed = archive.sign(TEXT) + b"\n" + forged.encode()
    try:
        release = _fetch({_url(): signed}, Trust((archive.public,), NOW))
    except IntegrityError:
        return
    assert list(release.files) == ["main/binary-amd64/Packages.xz"]


@pytest.mark.parametrize("change", ["tampered", "unsigned", "stripped", "foreign", "garbage"])
def test_anything_else_is_refused(archive: Signer, change: Any) -> None:
    """Changed text, no signature, an emptied one, another's key: none passes."""
    signed = archive.sign(TEXT)
    cut = signed.index(b"-----BEGIN PGP SIGNATURE-----")
    data = {
        "tampered": signed.replace(b" 1234 ", b" 1235 "),
        "unsigned": TEXT.encode(),
        "stripped": signed[:cut],
        "foreign": Signer().sign(TEXT),
        "garbage": signed[:cut] + b"-----BEGIN PGP SIGNATURE-----\n\nAAAA\n"
        b"-----END PGP SIGNATURE-----\n",
    }[change]
    with pytest.raises(IntegrityError) as caught:
        _fetch({_url(): data}, Trust((archive.public,), NOW))
    assert "Stack backtrace" not in caught.value.message


def test_another_suites_release_is_refused(archive: Signer) -> None:
    """A mirror can't pass off the release as its security updates."""
    suite = "bookworm-security"
    with pytest.raises(IntegrityError, match="asked for bookworm-security, got bookworm"):
        _fetch({_url(suite=suite): archive.sign(TEXT)}, Trust((archive.public,), NOW), suite)


def test_an_expired_release_is_refused_unless_that_was_allowed(archive: Signer) -> None:
    """A mirror that withholds updates shows; one that is frozen on purpose has to be named so."""
    later = datetime(2027, 1, 1, tzinfo=timezone.utc)
    files = {_url(): archive.sign(TEXT)}
    with pytest.raises(IntegrityError, match="expired"):
        _fetch(files, Trust((archive.public,), later))
    allowed = _fetch(files, Trust((archive.public,), later, check_valid_until=False))
    assert allowed.suite == "bookworm"


def test_the_next_mirror_is_asked(archive: Signer) -> None:
    """A mirror that is down or false does not hide a good one, which is then asked first."""
    files = {_url("b"): Signer().sign(TEXT), _url("c"): archive.sign(TEXT)}
    release = _fetch(files, Trust((archive.public,), NOW), hosts="abc")
    assert release.uris == ("http://c.test", "http://a.test", "http://b.test")


@pytest.mark.parametrize("hosts", ["a", "ab"])
def test_no_mirror_at_all_names_each_reason(archive: Signer, hosts: Any) -> None:
    """The error lists what every mirror said."""
    with pytest.raises(FetchError) as caught:
        _fetch({}, Trust((archive.public,), NOW), hosts=hosts)
    assert all(f"{host}.test" in caught.value.message for host in hosts)


@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_the_stored_keys_are_those_of_the_readme(python: Any) -> None:
    """Every key of a release reads, and its fingerprint is in the list beside it."""
    readme = (resources.files("imagekit.bases") / "keys" / "README.md").read_text()
    release = release_for(python)
    assert len(release.keys) == 3
    for key in release.keys:
        certificate = pysequoia.Cert.from_bytes(key)
        assert certificate.fingerprint.upper() in readme
        assert not certificate.is_revoked


def test_another_python_names_the_way_out() -> None:
    """No release carries it: the hint is a base from elsewhere."""
    with pytest.raises(ImagekitError) as caught:
        release_for("3.12")
    assert "oci:" in (caught.value.hint or "")
