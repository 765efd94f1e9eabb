# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from imagekit.errors import ImagekitError
from imagekit.registry.reference import (
    RegistryReference,
    credentials_key,
    is_loopback,
    server_of,
)

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "host", "repository", "tag"),
    [
        ("registry.example/team/app", "registry.example", "team/app", "latest"),
        ("registry.example:5000/app:1.2", "registry.example:5000", "app", "1.2"),
        ("localhost/app:x", "localhost", "app", "x"),
        ("127.0.0.1:5000/a/b/c:x", "127.0.0.1:5000", "a/b/c", "x"),
        ("[::1]:5000/app:x", "[::1]:5000", "app", "x"),
    ],
)
def test_a_name_is_split_as_docker_splits_it(
    text: str, host: str, repository: str, tag: str
) -> None:
    """The first part is a host if it has a dot or a colon, or is localhost."""
    assert RegistryReference.parse(text) == RegistryReference(host, repository, tag)


@pytest.mark.parametrize(
    ("text", "repository"), [("python", "library/python"), ("team/app", "team/app")]
)
def test_a_name_without_a_host_is_the_hubs(text: str, repository: str) -> None:
    """One word is one of its own images; its server and its key in Docker's files differ."""
    found = RegistryReference.parse(text)
    assert found.repository == repository
    assert found == RegistryReference.parse(f"{found.host}/{text}")
    assert server_of(found.host).endswith(f".{found.host}")
    assert credentials_key(found.host) == f"https://index.{found.host}/v1/"
    assert found == RegistryReference.parse(f"index.{found.host}/{text}")


def test_a_digest_says_more_than_a_tag() -> None:
    """Both are kept; the manifest is asked for by its digest. A digest alone gets no tag."""
    both = RegistryReference.parse(f"localhost:5000/app:1@{DIGEST}")
    assert (both.tag, both.digest, both.wanted) == ("1", DIGEST, DIGEST)
    assert str(both) == f"localhost:5000/app:1@{DIGEST}"
    assert RegistryReference.parse(f"localhost:5000/app@{DIGEST}").tag == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost:5000/",
        "localhost:5000/App",
        "localhost:5000/A/app",
        "localhost:5000/a:5000/b",
        "localhost:5000/../app",
        "localhost:5000/a/%2e%2e/b",
        "localhost:5000/app:a b",
        "localhost:5000/app@sha256:short",
        "user@localhost:5000/app",
        "local host.x/app",
        "x.example/" + "a/" * 130 + "b",
    ],
)
def test_what_could_become_another_url_is_refused(text: str) -> None:
    """Every part of a reference becomes a part of a URL."""
    with pytest.raises(ImagekitError):
        RegistryReference.parse(text)


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("127.0.0.1:5000", True),
        ("127.9.9.9", True),
        ("[::1]:5000", True),
        ("localhost.example:5000", False),
        ("128.0.0.1", False),
        ("127.0.0.1.example", False),
        ("[::2]", False),
    ],
)
def test_this_machine_is_known_by_name_and_address(server: str, expected: bool) -> None:
    assert is_loopback(server) is expected
