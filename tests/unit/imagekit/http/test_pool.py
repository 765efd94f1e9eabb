# SPDX-License-Identifier: Apache-2.0
"""Exchanges with a server that says, byte by byte, what it was told to say."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator

import pytest

from imagekit.http.failures import UnansweredError
from imagekit.http.pool import Pool, Received
from tests.fakes.fault_proxy import fault_proxy
from tests.fakes.wire_server import Says, answer, wire_server

_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def pool() -> Iterator[Pool]:
    with contextlib.closing(Pool(lambda _: ssl.create_default_context())) as made:
        yield made


def read(received: Received) -> bytes:
    with contextlib.closing(received):
        return b"".join(received.chunks())


def test_a_connection_serves_again(pool: Pool) -> None:
    """After a body that was read, after HEAD, and after an answer without one."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"
    empty = b"HTTP/1.1 204 No Content\r\n\r\n"
    with wire_server([answer(b"one"), head, empty, answer(b"two")]) as server:
        url = f"http://{server.address}/a?b=c#d"
        assert read(pool.send("GET", url, {})) == b"one"
        assert read(pool.send("HEAD", url, {})) == b""
        assert read(pool.send("DELETE", url, {})) == b""
        assert read(pool.send("GET", url, {})) == b"two"
    assert {each.connection for each in server.heard} == {0}
    assert server.heard[0].line == "GET /a?b=c HTTP/1.1"


@pytest.mark.parametrize(
    "first",
    [
        Says(answer(b"one"), hang_up=True),
        answer(b"one", "Connection: close"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\none",
    ],
)
def test_a_closed_connection_is_not_taken_again(pool: Pool, first: Says | bytes) -> None:
    """Whether the server says that it closes, or just does; a new one is opened."""
    with wire_server([first, answer(b"two")]) as server:
        assert read(pool.send("GET", f"http://{server.address}/", {})) == b"one"
        assert server.hung_up.wait(10) or not isinstance(first, Says)
        assert read(pool.send("GET", f"http://{server.address}/", {})) == b"two"
    assert [each.connection for each in server.heard] == [0, 1]


def test_a_body_that_nobody_read_closes_the_connection(pool: Pool) -> None:
    """What is left of it would be taken for the next answer."""
    with wire_server([answer(b"x" * 100_000), answer(b"two")]) as server:
        received = pool.send("GET", f"http://{server.address}/", {})
        next(received.chunks())
        received.close()
        received.close()
        assert read(pool.send("GET", f"http://{server.address}/", {})) == b"two"
    assert len({each.connection for each in server.heard}) in (1, 2)


def test_a_body_is_sent_piece_by_piece(pool: Pool) -> None:
    """With its length, and not in chunks of HTTP."""
    with wire_server([answer(), answer()]) as server:
        pieces = iter([b"abc", b"", b"def"])
        read(pool.send("PUT", f"http://{server.address}/", {"Content-Length": "6"}, pieces))
        read(pool.send("POST", f"http://{server.address}/", {}))
    assert server.heard[0].headers["content-length"] == "6"
    assert "transfer-encoding" not in server.heard[0].headers
    assert server.heard[1].headers["content-length"] == "0"


def test_what_a_server_says_before_it_hangs_up_is_heard(pool: Pool) -> None:
    """It refuses a body of which it has read nothing."""
    refusal = Says(answer(b"too large", status="413 Content Too Large"), early=True)
    with wire_server([refusal]) as server:

        def pieces() -> Iterator[bytes]:
            assert server.hung_up.wait(10)
            for _ in range(64):
                yield bytes(1 << 20)

        headers = {"Content-Length": str(64 << 20)}
        received = pool.send("PUT", f"http://{server.address}/", headers, pieces())
        assert received.status == 413
        assert read(received) == b"too large"


def test_headers_that_come_twice_are_one_list(pool: Pool) -> None:
    """As challenges do; names are found in any case."""
    two = ("WWW-Authenticate: Basic realm=x", "www-authenticate: Bearer realm=y")
    with wire_server([answer(b"", *two)]) as server:
        received = pool.send("GET", f"http://{server.address}/", {})
        received.close()
    assert received.headers["Www-Authenticate"] == "Basic realm=x, Bearer realm=y"
    assert "Missing" not in received.headers


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive5",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nfive5",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a number\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x-y: z\r\n" * 200 + b"\r\n",
        b"what?\r\n\r\n",
        b"",
    ],
)
def test_half_an_answer_is_an_error_for_now(pool: Pool, data: bytes) -> None:
    """Another try may help; the error quotes no URL with its query."""
    with wire_server([Says(data, hang_up=True)]) as server:
        url = f"http://someone:secret@{server.address}/?key=secret"
        with pytest.raises(UnansweredError) as caught:
            read(pool.send("GET", url, {}))
    assert not caught.value.lasting
    assert "secret" not in str(caught.value)


def test_chunks_of_http_are_put_together(pool: Pool) -> None:
    """And the connection serves again."""
    chunked = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    with wire_server([chunked, answer(b"two")]) as server:
        assert read(pool.send("GET", f"http://{server.address}/", {})) == b"abcde"
        assert read(pool.send("GET", f"http://{server.address}/", {})) == b"two"
    assert {each.connection for each in server.heard} == {0}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "ftp://h/",
        "http:///a",
        "http://h:99999/",
        "http://[::1/",
        "http://\u2100/",
    ],
)
def test_what_is_no_url_is_said_to_be_none(pool: Pool, url: str) -> None:
    """For good, and before anything is sent."""
    with pytest.raises(UnansweredError, match="not a URL") as caught:
        pool.send("GET", url, {})
    assert caught.value.lasting


def test_plain_http_where_tls_is_expected(pool: Pool) -> None:
    """The error says so, and that another try is no use."""
    with (
        fault_proxy(None) as server,
        pytest.raises(UnansweredError, match="does not speak TLS") as caught,
    ):
        pool.send("GET", f"https://{server.address}/", {})
    assert caught.value.lasting


def test_a_proxy_carries_plain_requests(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for the whole URL, and alone gets its password."""
    with (
        wire_server([answer(b"by proxy")]) as proxy,
        wire_server([answer(b"direct")] * 3) as server,
    ):
        monkeypatch.setenv("http_proxy", f"http://so%6deone:pass@{proxy.address}")
        assert read(pool.send("GET", "http://u:p@example.invalid/a?b", {})) == b"by proxy"
        assert read(pool.send("GET", f"http://{server.address}/", {}, direct=True)) == b"direct"
        monkeypatch.setenv("no_proxy", "127.0.0.0/8")
        assert read(pool.send("GET", f"http://{server.address}/", {})) == b"direct"
        monkeypatch.setenv("no_proxy", "elsewhere,127.0.0.1")
        assert read(pool.send("GET", f"http://{server.address}/", {})) == b"direct"
    (heard,) = proxy.heard
    assert heard.line == "GET http://example.invalid/a?b HTTP/1.1"
    assert heard.headers["host"] == "example.invalid"
    assert heard.headers["proxy-authorization"] == "Basic c29tZW9uZTpwYXNz"
    assert all("proxy-authorization" not in each.headers for each in server.heard)


def test_a_proxy_that_refuses_is_named(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what it answers to CONNECT; `all_proxy` is for https, too."""
    with wire_server([answer(status="407 Proxy Authentication Required")]) as proxy:
        monkeypatch.setenv("all_proxy", proxy.address)
        with pytest.raises(UnansweredError, match="the proxy refuses: 407"):
            pool.send("GET", "https://example.invalid/", {})
    assert proxy.heard[0].line.startswith("CONNECT example.invalid:443 ")


@pytest.mark.parametrize(
    "named", ["https://proxy:3128", "socks5://proxy:1080", "http://:1", "http://p:x"]
)
def test_proxies_that_cannot_be_used_are_refused(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """With how one is named; without its password."""
    monkeypatch.setenv("https_proxy", named.replace("//", "//user:secret@"))
    with pytest.raises(UnansweredError, match="not a proxy") as caught:
        pool.send("GET", "https://example.invalid/", {})
    assert caught.value.lasting
    assert "secret" not in str(caught.value)
