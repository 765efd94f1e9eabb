# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from imagekit.errors import FetchError, IntegrityError
from imagekit.fetch import cached, fetch, fetch_small
from imagekit.urls import without_credentials
from tests.fakes.http_server import Script, serving

BODY = bytes(range(256)) * 5000
SHA256 = hashlib.sha256(BODY).hexdigest()


def get(folder: Path, *urls: str, sha256: str = SHA256) -> bytes:
    path = fetch(urls, sha256=sha256, size_bytes=len(BODY), name="thing", directory=folder)
    return path.read_bytes()


def leftovers(folder: Path) -> list[Path]:
    return [path for path in (folder / "sha256").glob("*") if path.name != SHA256]


def test_a_file_is_downloaded_once(tmp_path: Path) -> None:
    """The second request is answered from the cache, without the network."""
    with serving(Script(BODY)) as server:
        assert get(tmp_path, server.url) == BODY
        assert get(tmp_path, server.url) == BODY
        assert server.requests == [None]
    assert cached(SHA256, directory=tmp_path) is not None


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_connection_is_taken_up_again(tmp_path: Path, ranges: bool) -> None:
    """A download goes on where it was cut, or starts over where the server can't go on."""
    with serving(Script(BODY, ["cut"], ranges=ranges)) as server:
        assert get(tmp_path, server.url) == BODY
        assert server.requests[0] is None
        offset = int((server.requests[1] or "").removeprefix("bytes=").rstrip("-"))
        assert 0 < offset <= len(BODY) // 2
    assert [] == leftovers(tmp_path)


def test_busy_and_broken_servers_are_asked_again(tmp_path: Path) -> None:
    """429 and 500 are survived; Retry-After is heeded."""
    with serving(Script(BODY, ["busy", "error"])) as server:
        assert get(tmp_path, server.url) == BODY
        assert len(server.requests) == 3


def test_the_next_url_is_tried_where_one_does_not_have_it(tmp_path: Path) -> None:
    """A mirror without the file is no failure while another has it."""
    with serving(Script(BODY, ["missing"])) as server:
        assert get(tmp_path, server.url, server.url) == BODY


def test_wrong_bytes_never_reach_the_cache(tmp_path: Path) -> None:
    """A server that gives other bytes is an error, and leaves nothing behind."""
    with serving(Script(b"x" * len(BODY))) as server, pytest.raises(IntegrityError, match="sha256"):
        get(tmp_path, server.url)
    assert [] == list((tmp_path / "sha256").iterdir())


def test_more_bytes_than_locked_end_the_download(tmp_path: Path) -> None:
    """A server can't fill the disk with what nobody asked for."""
    with serving(Script(BODY * 3)) as server, pytest.raises(IntegrityError, match="more than"):
        get(tmp_path, server.url)


def test_a_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    """The message names the file and the answer, and no credentials."""
    with serving(Script(BODY, ["missing"])) as server:
        url = server.url.replace("http://", "http://user:secret@") + "?token=secret"
        with pytest.raises(FetchError) as caught:
            get(tmp_path, url)
    assert "thing" in caught.value.message
    assert "404" in caught.value.message
    assert "secret" not in caught.value.message


def test_a_file_url_is_copied_and_checked(tmp_path: Path) -> None:
    """Indexes on disk are fetched from like others."""
    source = tmp_path / "a file"
    source.write_bytes(BODY)

    assert get(tmp_path / "cache", source.as_uri()) == BODY


def test_small_files_are_not_cached() -> None:
    """What is not pinned is asked for every time."""
    with serving(Script(b"now", ["error"])) as server:
        assert fetch_small(server.url) == b"now"
        assert fetch_small(server.url) == b"now"
        assert len(server.requests) == 3


def test_urls_are_shown_without_secrets() -> None:
    """User, password, query and fragment are left out of every message."""
    assert without_credentials("https://u:p@host.example/a?token=x#y") == "https://host.example/a"
