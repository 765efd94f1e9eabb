# SPDX-License-Identifier: Apache-2.0
"""Real registries that let nobody in without a password, a token, or a certificate."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagekit.errors import RegistryError
from imagekit.oci.image import Image
from imagekit.oci.layer import FileLayer
from imagekit.oci.validate import validate
from imagekit.registry.access import Access
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference
from tests.fakes.fault_proxy import Fault, fault_proxy
from tests.fakes.forward_proxy import forward_proxy
from tests.fakes.images import image_of
from tests.fakes.registry_server import (
    PASSWORD,
    USER,
    Certificates,
    Server,
    htpasswd,
    make_certificates,
    registry,
)
from tests.fakes.registry_tokens import TokenServer, token_server

pytestmark = pytest.mark.registry


def at(address: str, name: str) -> RegistryReference:
    return RegistryReference.parse(f"{address}/{name}")


def logged_in(access: Access, folder: Path, host: str, **entry: str) -> Access:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"auths": {host: entry}}))
    return dataclasses.replace(access, environ={**access.environ, "DOCKER_CONFIG": str(folder)})


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def locked(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[Server]:
    """With TLS and a password."""
    folder = tmp_path_factory.mktemp("locked")
    with registry(folder, auth=htpasswd(folder), tls=certificates) as started:
        yield started


def test_a_password_and_a_ca_let_in(
    locked: Server, access: Access, image: Image, certificates: Certificates, tmp_path: Path
) -> None:
    trusting = dataclasses.replace(access, ca_file=certificates.ca)
    trusting = logged_in(trusting, tmp_path, locked.address, username=USER, password=PASSWORD)
    client = RegistryClient(trusting)
    client.push(image, at(locked.address, "locked:1"))
    validate(client.pull(at(locked.address, "locked:1")))


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_environment_names_the_ca_too(
    locked: Server, access: Access, certificates: Certificates, tmp_path: Path, variable: str
) -> None:
    named = dataclasses.replace(access, environ={**access.environ, variable: str(certificates.ca)})
    named = logged_in(named, tmp_path, locked.address, username=USER, password=PASSWORD)
    assert RegistryClient(named).manifest_digest(at(locked.address, "nothing:1")) is None


def test_docker_s_folder_of_certificates_is_honoured(
    access: Access, certificates: Certificates, tmp_path: Path
) -> None:
    """The CA beside the system's, and a certificate of the client's own."""
    with registry(tmp_path / "r", tls=certificates, client_ca=certificates.ca) as server:
        reference = at(server.address, "nothing:1")
        folder = tmp_path / "certs.d" / server.address
        folder.mkdir(parents=True)
        (folder / "ca.crt").write_bytes(certificates.ca.read_bytes())
        with_folder = dataclasses.replace(access, certificates=tmp_path / "certs.d")
        with pytest.raises(RegistryError):
            RegistryClient(with_folder).manifest_digest(reference)
        (folder / "client.cert").write_bytes(certificates.certificate.read_bytes())
        (folder / "client.key").write_bytes(certificates.key.read_bytes())
        assert RegistryClient(with_folder).manifest_digest(reference) is None
        (folder / "client.key").unlink()
        with pytest.raises(RegistryError, match=r"certificates: .*client\.cert"):
            RegistryClient(with_folder).manifest_digest(reference)


def test_an_unknown_ca_is_one_error_and_no_fallback(locked: Server, access: Access) -> None:
    """Never plain HTTP instead, and never without a check; no second try either."""
    with pytest.raises(RegistryError, match="certificate is not trusted") as caught:
        RegistryClient(access).manifest_digest(at(locked.address, "locked:1"))
    assert "REQUESTS_CA_BUNDLE" in (caught.value.hint or "")


@pytest.mark.parametrize("entry", [{}, {"username": USER, "password": "wrong secret"}])
def test_nobody_and_a_wrong_password_are_told_to_log_in(
    locked: Server, access: Access, image: Image, certificates: Certificates, tmp_path: Path,
    entry: dict[str, str],
) -> None:  # fmt: skip
    trusting = dataclasses.replace(access, ca_file=certificates.ca)
    trusting = logged_in(trusting, tmp_path, locked.address, **entry)
    with pytest.raises(RegistryError, match="not allowed to write there") as caught:
        RegistryClient(trusting).push(image, at(locked.address, "locked:2"))
    assert caught.value.hint == f"log in with `docker login {locked.address}`"
    assert "wrong secret" not in caught.value.message


@pytest.mark.parametrize("key", ["credHelpers", "credsStore"])
def test_a_credential_helper_lets_in(
    locked: Server, access: Access, image: Image, certificates: Certificates, tmp_path: Path,
    key: str,
) -> None:  # fmt: skip
    """A program on PATH, as `docker login` sets one up; it is asked once, and only when needed."""
    programs, asked = tmp_path / "bin", tmp_path / "asked"
    programs.mkdir()
    helper = programs / "docker-credential-tests"
    answer = json.dumps({"ServerURL": locked.address, "Username": USER, "Secret": PASSWORD})
    helper.write_text(f"#!/bin/sh\necho $1 $(cat) >> {asked}\necho '{answer}'\n")
    helper.chmod(0o755)
    setting = {locked.address: "tests"} if key == "credHelpers" else "tests"
    (tmp_path / "config.json").write_text(json.dumps({key: setting}))
    path = f"{programs}:{os.environ['PATH']}"
    user = dataclasses.replace(
        access, ca_file=certificates.ca, environ={**access.environ, "PATH": path}
    )
    client = RegistryClient(user)
    assert not asked.exists()
    client.push(image, at(locked.address, f"helped/{key.lower()}:1"))
    validate(client.pull(at(locked.address, f"helped/{key.lower()}:1")))
    assert asked.read_text() == f"get {locked.address}\n"


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    folder = tmp_path_factory.mktemp("tokens")
    with token_server(
        folder, users={USER: PASSWORD}, identities=frozenset({"identity"})
    ) as started:
        yield started


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, tokens: TokenServer) -> Iterator[Server]:
    """It believes the tokens of `tokens`."""
    with registry(tmp_path_factory.mktemp("guarded"), auth=tokens.auth) as started:
        yield started


@pytest.fixture
def user(guarded: Server, tokens: TokenServer, access: Access, tmp_path: Path) -> Access:
    tokens.given.clear()
    tokens.lives_seconds, tokens.says_seconds = 600, 600
    return logged_in(access, tmp_path, guarded.address, username=USER, password=PASSWORD)


def test_one_token_is_enough_for_a_push(
    guarded: Server, tokens: TokenServer, user: Access, image: Image
) -> None:
    """However many threads ask for it; another push by the same client takes it too."""
    client = RegistryClient(user)
    client.push(image, at(guarded.address, "tokens/one:1"))
    client.push(image, at(guarded.address, "tokens/one:2"))
    assert tokens.given == [("repository:tokens/one:pull,push",)]
    validate(client.pull(at(guarded.address, "tokens/one:2")))
    assert tokens.given[1:] == [("repository:tokens/one:pull",)]


def test_an_identity_token_gets_tokens_too(
    guarded: Server, tokens: TokenServer, user: Access, image: Image, tmp_path: Path
) -> None:
    """By OAuth 2, as `docker login` leaves it with some registries."""
    known = logged_in(user, tmp_path, guarded.address, identitytoken="identity")
    RegistryClient(known).push(image, at(guarded.address, "tokens/identity:1"))
    assert tokens.given == [("repository:tokens/identity:pull,push",)]
    unknown = logged_in(user, tmp_path, guarded.address, identitytoken="other")
    with pytest.raises(RegistryError, match=r"logging in to .*UNAUTHORIZED wrong password"):
        RegistryClient(unknown).manifest_digest(at(guarded.address, "tokens/identity:1"))


def test_a_mount_needs_the_right_to_read_its_source(
    guarded: Server, tokens: TokenServer, user: Access, image: Image
) -> None:
    client = RegistryClient(user)
    client.push(image, at(guarded.address, "tokens/base:1"))
    base = client.pull(at(guarded.address, "tokens/base:1"))
    report = client.push(base, at(guarded.address, "tokens/top:1"))
    assert len(report.mounted) == len(image.layers) + 1  # its client has put the config there, too
    both = ("repository:tokens/base:pull", "repository:tokens/top:pull,push")
    assert both in tokens.given


def test_a_token_that_ends_in_mid_push_is_renewed(
    guarded: Server,
    tokens: TokenServer,
    user: Access,
    layers: list[FileLayer],
    tmp_path: Path,
) -> None:
    """It was said to live long, and did not: the 401 is answered by a new one, and on it goes."""
    tokens.lives_seconds = 2
    slow = Fault("^PUT.*blobs", "slow", 2, seconds=1.5)
    with fault_proxy(guarded.address, slow) as proxy:
        folder = tmp_path / "before"
        access = logged_in(user, folder, proxy.address, username=USER, password=PASSWORD)
        client = RegistryClient(access)
        with client.uploader(at(proxy.address, "tokens/short:1")) as uploader:
            for layer in layers:
                assert uploader.push_layer(layer).result() == "uploaded"
            uploader.push_image(image_of(*layers))
    assert len(tokens.given) > 1
    tokens.lives_seconds = 600
    validate(RegistryClient(user).pull(at(guarded.address, "tokens/short:1")))


@pytest.mark.parametrize("says", [0, 2, None])
def test_a_token_that_says_it_is_short_is_not_used_beyond_that(
    guarded: Server, tokens: TokenServer, user: Access, image: Image, says: int | None
) -> None:
    """Without a word of its time it lives a minute."""
    tokens.says_seconds = says
    RegistryClient(user).push(image, at(guarded.address, f"tokens/says-{says or 60}:1"))
    assert len(tokens.given) > 1 if says == 0 else len(tokens.given) >= 1


def test_a_token_server_that_fails_at_times_is_asked_again(
    guarded: Server, tokens: TokenServer, user: Access, tmp_path: Path
) -> None:
    with fault_proxy(tokens.address, Fault("/token", "answer", 3, 503)) as before_tokens:
        realm = f'Bearer realm="http://{before_tokens.address}/token",service="test registry"'
        challenge = Fault("manifests", "headers", 99, headers={"WWW-Authenticate": realm})
        with fault_proxy(guarded.address, challenge) as proxy:
            access = logged_in(user, tmp_path, proxy.address, username=USER, password=PASSWORD)
            reference = at(proxy.address, "tokens/nothing:1")
            assert RegistryClient(access).manifest_digest(reference) is None
        assert len(before_tokens.seen) == 4


def test_no_secret_is_logged(
    guarded: Server,
    tokens: TokenServer,
    user: Access,
    image: Image,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """There is no log below imagekit's own, at any level, that could hold one."""
    with caplog.at_level(logging.DEBUG):
        client = RegistryClient(user)
        client.push(image, at(guarded.address, "tokens/logged:1"))
    assert caplog.text == ""
    assert PASSWORD not in repr(user) + repr(vars(client))


def test_a_registry_behind_a_proxy_is_reached_by_a_tunnel(
    locked: Server,
    certificates: Certificates,
    access: Access,
    image: Image,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The proxy gets its own password and the registry's name; TLS is with the registry itself."""
    port = locked.address.rpartition(":")[2]
    host = f"registry.test:{port}"
    user = logged_in(access, tmp_path / "docker", host, username=USER, password=PASSWORD)
    user = dataclasses.replace(user, ca_file=certificates.ca)
    with forward_proxy(locked.address) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://someone:secret@{proxy.address}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        client = RegistryClient(user)
        client.push(image, at(host, "proxied:1"))
        validate(client.pull(at(host, "proxied:1")))
        client.close()
        untrusting = dataclasses.replace(user, ca_file=None)
        with pytest.raises(RegistryError, match="certificate is not trusted") as caught:
            RegistryClient(untrusting).manifest_digest(at(host, "proxied:1"))

    assert set(proxy.asked) == {host}
    assert len(proxy.authorizations) == 1
    assert next(iter(proxy.authorizations)).startswith("Basic ")
    assert "secret" not in str(caught.value)
    assert PASSWORD not in " ".join(proxy.authorizations)
