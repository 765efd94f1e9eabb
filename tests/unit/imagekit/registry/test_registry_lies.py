# SPDX-License-Identifier: Apache-2.0
"""Registries and token servers that lie: one clear error each, nothing believed, nothing given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imagekit.errors import ImagekitError, IntegrityError, RegistryError
from imagekit.oci import digest, media_types
from imagekit.registry.reference import RegistryReference
from tests.fakes.fault_proxy import Fault, FaultProxy, fault_proxy
from tests.unit.imagekit.registry.scripted import answer, client, image_documents, login

MANIFEST, CONFIG = image_documents()
OTHER = "sha256:" + "0" * 64
DOCKER = "application/vnd.docker.distribution.manifest"
SECRET = "tr0ub4dor"


def reference(proxy: FaultProxy, name: str = "app:1") -> RegistryReference:
    return RegistryReference.parse(f"{proxy.address}/{name}")


def typed(media_type: str, **headers: str) -> dict[str, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"Content-Type": media_type, **named}


def sound(**headers: str) -> list[Fault]:
    """The rules of a registry that has one image."""
    return [
        answer("GET /v2/$", b"{}"),
        answer("/manifests/", MANIFEST, headers=typed(media_types.MANIFEST, **headers)),
        answer("/blobs/", CONFIG),
    ]


def test_the_digest_of_the_bytes_counts() -> None:
    """Whatever a header says of them, an image that was asked for by its tag is what it is."""
    with fault_proxy(None, *sound(Docker_Content_Digest=OTHER)) as proxy:
        assert client().pull(reference(proxy)).digest == digest.of_bytes(MANIFEST)


def test_other_bytes_than_the_digest_asked_for_are_refused() -> None:
    with fault_proxy(None, *sound()) as proxy, pytest.raises(IntegrityError, match="other bytes"):
        client().pull(reference(proxy, f"app@{OTHER}"))


def test_other_bytes_of_a_config_are_refused() -> None:
    rules = sound()
    rules[2] = answer("/blobs/", CONFIG.replace(b"linux", b"linus"))
    with fault_proxy(None, *rules) as proxy, pytest.raises(IntegrityError, match="another digest"):
        client().pull(reference(proxy))


def test_a_config_that_never_ends_is_refused() -> None:
    rules = sound()
    rules[2] = answer("/blobs/", CONFIG + bytes(1 << 20))
    with fault_proxy(None, *rules) as proxy, pytest.raises(IntegrityError, match="size"):
        client().pull(reference(proxy))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>", media_types.MANIFEST),
        (b"[]", media_types.MANIFEST),
        (b"{}", "text/html"),
        (b"{" * 100_000, media_types.MANIFEST),
        (MANIFEST, media_types.INDEX),
        (MANIFEST[:-1] + b',"manifests":[]}', media_types.MANIFEST),
        (MANIFEST.replace(b'"layers": []', b'"layers": 3'), media_types.MANIFEST),
        (b'{"schemaVersion": 1, "fsLayers": []}', f"{DOCKER}.v1+json"),
        (b" " * (5 << 20), media_types.MANIFEST),
    ],
)  # fmt: skip
def test_what_is_no_image_is_refused(body: bytes, kind: str) -> None:
    """Wrong type, wrong form, two things at once, or too large."""
    rules = [answer("GET /v2/$"), answer("/manifests/", body, headers=typed(kind))]
    with fault_proxy(None, *rules) as proxy, pytest.raises(ImagekitError):
        client().pull(reference(proxy))


def test_an_index_without_end_is_refused() -> None:
    """Each of its parts points at more: reading stops after a number of them."""
    parts: dict[str, bytes] = {}

    def index(number: int, entries: list[dict[str, object]]) -> dict[str, object]:
        content = {"mediaType": media_types.INDEX, "manifests": entries, "number": number}
        data = json.dumps(content).encode()
        parts[digest.of_bytes(data)] = data
        found = {"digest": digest.of_bytes(data), "size": len(data)}
        return {"mediaType": media_types.INDEX, **found}

    top = parts[str(index(-1, [index(number, []) for number in range(200)])["digest"])]
    rules = [answer("GET /v2/$"), answer("/manifests/1$", top, headers=typed(media_types.INDEX))]
    rules += [answer(name, data, headers=typed(media_types.INDEX)) for name, data in parts.items()]
    with fault_proxy(None, *rules) as proxy:
        with pytest.raises(IntegrityError, match="more than 64 manifests"):
            client().pull(reference(proxy))
        assert len(proxy.seen) < 100


def test_an_index_that_names_itself_is_refused() -> None:
    """It can't have its own digest, so the bytes are not the ones that were named."""
    entry = {"mediaType": media_types.INDEX, "digest": OTHER, "size": 500}
    content = {"mediaType": media_types.INDEX, "manifests": [entry]}
    data = json.dumps(content).encode().ljust(500)
    rules = [answer("GET /v2/$"), answer("/manifests/", data, headers=typed(media_types.INDEX))]
    with fault_proxy(None, *rules) as proxy, pytest.raises(IntegrityError, match="other bytes"):
        client().pull(reference(proxy))


def test_only_the_registrys_own_404_says_that_there_is_none() -> None:
    """A registry that can't be reached has not said so: unknown is neither yes nor no."""
    with fault_proxy(None, answer("GET /v2/$"), answer("/manifests/", status=404)) as proxy:
        assert client().manifest_digest(reference(proxy)) is None
    with pytest.raises(RegistryError, match="refused"):
        client().manifest_digest(reference(proxy))


@pytest.mark.parametrize("status", [400, 401, 403, 405, 410, 500, 503])
def test_every_other_answer_leaves_it_unknown(status: int) -> None:
    rules = [answer("GET /v2/$"), answer("/manifests/", status=status)]
    with fault_proxy(None, *rules) as proxy, pytest.raises(RegistryError, match=str(status)):
        client().manifest_digest(reference(proxy))


def test_the_registrys_words_are_cut_and_made_harmless() -> None:
    """Control characters, endless texts and URLs' secrets don't reach the terminal."""
    said = "\x1b[31m" + "x" * 10_000
    message = f"https://u:{SECRET}@h.example/?t={SECRET} {said}"
    body = json.dumps({"errors": [{"code": "DENIED", "message": message}]}).encode()
    rules = [answer("GET /v2/$"), answer("/manifests/", body, 403)]
    with (
        fault_proxy(None, *rules) as proxy,
        pytest.raises(RegistryError, match="DENIED") as caught,
    ):
        client().find_manifest(reference(proxy))
    assert caught.value.code == "DENIED"
    assert len(caught.value.message) < 600
    assert caught.value.message.isprintable()
    assert SECRET not in caught.value.message


def basic(realm: str = "x") -> dict[str, str]:
    return {"WWW-Authenticate": f'Basic realm="{realm}"'}


def bearer(realm: str) -> dict[str, str]:
    return {"WWW-Authenticate": f'Bearer realm="{realm}",service="s"'}


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_credentials_don_t_follow_a_redirect_to_another_host(tmp_path: Path, status: int) -> None:
    """Another port is another host: storage gets the request, and no Authorization."""
    with fault_proxy(None, answer(".", MANIFEST, headers=typed(media_types.MANIFEST))) as storage:
        rules = [
            answer("GET /v2/$"),
            answer(".", status=401, times=1, headers=basic()),
            answer(
                ".", status=status, headers={"Location": f"http://{storage.address}/file?sig=1"}
            ),
        ]
        with fault_proxy(None, *rules) as proxy:
            environ = login(tmp_path, proxy.address, "me", SECRET)
            assert client(environ).find_manifest(reference(proxy)) is not None
            assert "Authorization" in proxy.seen[-1].headers
        assert storage.seen
        assert all("Authorization" not in item.headers for item in storage.seen)


def test_what_another_host_asks_for_is_not_given(tmp_path: Path) -> None:
    """A redirect's target that wants to be told who we are is not told."""
    with fault_proxy(None) as storage, fault_proxy(None) as proxy:
        storage.faults.append(answer(".", status=401, headers=bearer(f"http://{storage.address}/")))
        place = {"Location": f"http://{storage.address}/file"}
        proxy.faults += [answer("GET /v2/$"), answer(".", status=307, headers=place)]
        environ = login(tmp_path, proxy.address, "me", SECRET)
        with pytest.raises(RegistryError, match="401"):
            client(environ).find_manifest(reference(proxy))
        assert [item.line for item in storage.seen] == ["GET /file"]
        assert "Authorization" not in storage.seen[0].headers


@pytest.mark.parametrize(
    "target",
    [
        "http://storage.example/x",
        "file:///etc/passwd",
        "ftp://h.example/",
        "http://u:p@{}/",
        "//[",
        "",
    ],
)
def test_a_redirect_that_is_not_safe_is_refused(target: str) -> None:
    """In circles as well."""
    with fault_proxy(None) as proxy:
        place = target.format(proxy.address)
        proxy.faults += [answer("GET /v2/$"), answer(".", status=307, headers={"Location": place})]
        with pytest.raises(RegistryError):
            client().find_manifest(reference(proxy))
        assert len(proxy.seen) < 10


@pytest.mark.parametrize(
    "realm",
    ["http://tokens.example/", "ftp://tokens.example/", "//tokens.example", "", "https://", "https://u@t.example/",
     "https://[", "javascript:x", "https://t.example/\\r\\nX: y"],
)  # fmt: skip
def test_credentials_go_to_no_doubtful_token_server(tmp_path: Path, realm: str) -> None:
    """Only over TLS, or on this machine."""
    rules = [answer("GET /v2/$"), answer(".", status=401, headers=bearer(realm))]
    with fault_proxy(None, *rules) as proxy:
        environ = login(tmp_path, proxy.address, "me", SECRET)
        with pytest.raises(RegistryError, match="token server") as caught:
            client(environ).find_manifest(reference(proxy))
    assert SECRET not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("status", [302, 307])
def test_a_token_server_that_redirects_gets_no_second_request(tmp_path: Path, status: int) -> None:
    with fault_proxy(None) as elsewhere, fault_proxy(None) as proxy:
        proxy.faults += [
            answer("GET /v2/$"),
            answer("/token", status=status, headers={"Location": f"http://{elsewhere.address}/"}),
            answer(".", status=401, headers=bearer(f"http://{proxy.address}/token")),
        ]
        environ = login(tmp_path, proxy.address, "me", SECRET)
        with pytest.raises(RegistryError, match="logging in"):
            client(environ).find_manifest(reference(proxy))
        assert elsewhere.seen == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"token": 3}',
        b'{"token": ""}',
        b'{"token": "a\\r\\nX: y"}',
        b'{"token": "\xc3\xa4"}',
        b'{"token": "' + b"a" * 70_000 + b'"}',
        b" " * (2 << 20),
    ],
)
def test_a_token_that_makes_no_sense_is_refused(body: bytes) -> None:
    with fault_proxy(None) as proxy:
        proxy.faults += [
            answer("GET /v2/$"),
            answer("/token", body),
            answer(".", status=401, headers=bearer(f"http://{proxy.address}/token")),
        ]
        with pytest.raises(ImagekitError):
            client().find_manifest(reference(proxy))
        assert len(proxy.seen) < 10


@pytest.mark.parametrize(
    "scheme", ["", "Negotiate", "Digest realm=x, nonce=y", "\x7f", "x" * 20_000]
)
def test_an_unknown_way_to_log_in_is_one_error(scheme: str) -> None:
    rules = [answer("GET /v2/$"), answer(".", status=401, headers={"WWW-Authenticate": scheme})]
    with fault_proxy(None, *rules) as proxy, pytest.raises(RegistryError) as caught:
        client().find_manifest(reference(proxy))
    assert len(caught.value.message) < 700


def test_a_registry_that_repeats_a_secret_does_not_make_us_print_it(tmp_path: Path) -> None:
    """Password, its encoded form and the token are cut out of the registry's own words."""
    with fault_proxy(None) as proxy:
        environ = login(tmp_path, proxy.address, "me", SECRET)
        echo = json.dumps({"errors": [{"code": "X", "message": f"you sent {SECRET} and tok-en"}]})
        proxy.faults += [
            answer("GET /v2/$"),
            answer("/token", b'{"token": "tok-en"}'),
            answer(".", status=401, times=1, headers=bearer(f"http://{proxy.address}/token")),
            answer(".", echo.encode(), 403),
        ]
        with pytest.raises(RegistryError, match="you sent") as caught:
            client(environ).find_manifest(reference(proxy))
    assert SECRET not in caught.value.message
    assert "tok-en" not in caught.value.message


def test_wrong_credentials_are_tried_once(tmp_path: Path) -> None:
    """And the error says how to log in."""
    rules = [answer("GET /v2/$"), answer(".", status=401, headers=basic())]
    with fault_proxy(None, *rules) as proxy:
        environ = login(tmp_path, proxy.address, "me", SECRET)
        with pytest.raises(RegistryError, match="not allowed to read") as caught:
            client(environ).find_manifest(reference(proxy))
        assert f"docker login {proxy.address}" in (caught.value.hint or "")
        assert len(proxy.seen) == 3


@pytest.mark.parametrize(("wait", "requests"), [("0", 3), ("9999", 1)])
def test_retry_after_is_heeded_within_reason(wait: str, requests: int) -> None:
    """Longer than a person waits is an error that says so."""
    busy = answer("/manifests/", status=429, times=2, headers={"Retry-After": wait})
    with fault_proxy(None, busy, *sound()) as proxy:
        if requests == 1:
            with pytest.raises(RegistryError, match="asks to wait 9999 seconds"):
                client().find_manifest(reference(proxy))
        else:
            assert client().find_manifest(reference(proxy)) is not None
        assert len(proxy.lines("manifests")) == requests


def test_a_registry_that_stays_broken_is_given_up() -> None:
    with fault_proxy(None, answer("GET /v2/$"), answer(".", status=503)) as proxy:
        with pytest.raises(RegistryError, match="503, 5 times"):
            client().find_manifest(reference(proxy))
        assert len(proxy.lines("manifests")) == 5


@pytest.mark.parametrize("length", ["9" * 5000, "-1", "x", "1, 2", ""])
def test_a_length_that_makes_no_sense_is_no_size(length: str) -> None:
    rules = [answer("GET /v2/$"), answer("/blobs/", headers={"Content-Length": length})]
    with fault_proxy(None, *rules) as proxy, pytest.raises(RegistryError):
        client().blob_size(reference(proxy), OTHER)


def test_an_endless_error_is_read_in_part() -> None:
    """What counts is the status; a page of a proxy is not quoted."""
    rules = [answer("GET /v2/$"), answer(".", b"<html>" + bytes(1 << 20), 403)]
    with fault_proxy(None, *rules) as proxy, pytest.raises(RegistryError, match=r"\(HTTP 403\)$"):
        client().find_manifest(reference(proxy))
