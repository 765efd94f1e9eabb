# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import NoReturn

import pytest

from imagekit.buildkit.pod import PodStream


class Closed:
    """A websocket whose other side has gone; it raises a class of its package's own."""

    class ClosedError(Exception):
        pass

    def send_binary(self, data: bytes) -> NoReturn:
        raise self.ClosedError(f"{len(data)} bytes, and the socket is already closed")


def test_writing_to_a_pod_that_has_gone_is_the_end_of_a_connection() -> None:
    """As other streams have it, so that whoever carries bytes ends quietly."""
    with pytest.raises(OSError, match="the connection to default/worker has ended"):
        PodStream(Closed(), "default/worker").write(b"x")
