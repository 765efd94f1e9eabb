# SPDX-License-Identifier: Apache-2.0
"""Downloads: where redirects lead, and who gets which credentials."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.errors import FetchError
from imagekit.transfer import TransientError, body
from tests.fakes.wire_server import answer, wire_server


def to(url: str, status: str = "302 Found") -> bytes:
    return answer(b"moved", f"Location: {url}", status=status)


def basic(pair: bytes) -> str:
    import base64  # noqa: PLC0415

    return f"Basic {base64.b64encode(pair).decode()}"


def test_credentials_stay_with_their_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a URL go on within its server; a redirect elsewhere gets none, or its netrc's."""
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with wire_server([answer(b"here")] * 2) as other:
        with wire_server([to("/b"), to(f"http://{other.address}/c")]) as server:
            url = f"http://user:p%40ss@{server.address}/a"
            assert b"".join(body(url, 0)) == b"here"
            assert [each.line.split()[1] for each in server.heard] == ["/a", "/b"]
            assert [x.headers["authorization"] for x in server.heard] == [basic(b"user:p@ss")] * 2
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password mine\n")
        assert b"".join(body(f"http://{other.address}/c", 0)) == b"here"
    assert "authorization" not in other.heard[0].headers
    assert other.heard[1].headers["authorization"] == basic(b"me:mine")


def test_a_netrc_that_is_none_is_no_netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that can't be read as one has no credentials, and is no error."""
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_text("machine\n")
    with wire_server([answer(b"x")]) as server:
        assert b"".join(body(f"http://{server.address}/", 0)) == b"x"
    assert "authorization" not in server.heard[0].headers


def test_what_a_request_cannot_hold_is_encoded() -> None:
    """Spaces and letters, in what users write and in where servers send them; nothing twice."""
    with wire_server([to("/b c%20é"), answer(b"x")]) as server:
        assert b"".join(body(f"http://{server.address}/a b%20é?q=é&r=1+2", 0)) == b"x"
        assert [each.line.split()[1] for each in server.heard] == [
            "/a%20b%20%C3%A9?q=%C3%A9&r=1+2",
            "/b%20c%20%C3%A9",
        ]


def test_redirects_have_an_end() -> None:
    """One clear error, without what the URL's query says."""
    with (
        wire_server([to("/again")] * 20) as server,
        pytest.raises(FetchError, match="redirected more than") as caught,
    ):
        b"".join(body(f"http://{server.address}/a?secret", 0))
    assert "secret" not in str(caught.value)
    assert len(server.heard) == 10


def test_what_another_try_helps_is_told_from_what_it_does_not() -> None:
    """Busy servers say when; a missing file is missing."""
    busy = answer(b"", "Retry-After: 7", status="429 Too Many Requests")
    with wire_server([busy, answer(b"", status="404 Not Found")]) as server:
        with pytest.raises(TransientError) as caught:
            b"".join(body(f"http://{server.address}/", 0))
        assert caught.value.wait_seconds == 7
        with pytest.raises(FetchError, match="HTTP 404 Not Found"):
            b"".join(body(f"http://{server.address}/", 0))


def test_a_bundle_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By its path, and for good."""
    from imagekit.http.failures import UnansweredError  # noqa: PLC0415
    from imagekit.http.trust import tls_context  # noqa: PLC0415

    missing = str(tmp_path / "missing.pem")
    with pytest.raises(UnansweredError, match=rf"certificates: {missing}: No such file") as caught:
        tls_context({"SSL_CERT_FILE": missing})
    assert caught.value.lasting
