# SPDX-License-Identifier: Apache-2.0
"""Whose credentials go with which download."""

from __future__ import annotations

import pytest

from imagekit.urls import with_credentials

INDEX = "https://user:index@files.test/simple"
WHEEL = "https://user:file@files.test/own/a-1.0-py3-none-any.whl?token=abc#sha256=0"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "https://files.test/own/a-1.0-py3-none-any.whl",
            "https://user:file@files.test/own/a-1.0-py3-none-any.whl?token=abc",
        ),
        ("https://files.test/b.whl", "https://user:index@files.test/b.whl"),
        ("https://other.test/b.whl", "https://other.test/b.whl"),
        ("http://files.test/b.whl", "http://files.test/b.whl"),
        ("https://files.test:8443/b.whl", "https://files.test:8443/b.whl"),
    ],
    ids=["the file's own", "the index's", "another host", "without TLS", "another port"],
)
def test_credentials_go_where_they_were_written_for(url: str, expected: str) -> None:
    """Those of a file go with that file alone, those of an index with all on its server."""
    assert with_credentials(url, [WHEEL, INDEX]) == expected
