# SPDX-License-Identifier: Apache-2.0
"""HTTP and TCP probes and hooks, asked from this machine at the pod's own address.

https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/
A server that listens on 127.0.0.1 alone is not reached, as on a cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from urllib.parse import SplitResult, urljoin, urlsplit

from imagekit.pods.model import HttpGet, TcpSocket

Verdict = tuple[bool, str]
_REDIRECTS = 10
_PROXY_SECONDS = 0.5
_LONGEST_HEAD_BYTES = 65536


async def ask_tcp(
    handler: TcpSocket, address: str, timeout: float | None, *, proxied: bool = False
) -> Verdict:
    """Whether something accepts the connection.

    `proxied`: an engine's proxy accepts it in any case, and ends it at once where nothing listens.
    """
    reaching = _reach(handler.host or address, handler.port, proxied=proxied)
    try:
        await asyncio.wait_for(reaching, timeout)
    except asyncio.TimeoutError:
        return False, f"tcp port {handler.port}: no answer within {timeout:g} s"
    except OSError as error:
        return False, f"tcp port {handler.port}: {error.strerror or error}"
    return True, ""


async def _reach(host: str, port: int, *, proxied: bool) -> None:
    async with _connected(host, port) as (inward, _):
        if not proxied:
            return
        with contextlib.suppress(asyncio.TimeoutError):
            if not await asyncio.wait_for(inward.read(1), _PROXY_SECONDS):
                raise ConnectionResetError("the connection was ended at once")


async def ask_http(handler: HttpGet, address: str, timeout: float | None) -> Verdict:
    """Whether the answer's status is at least 200 and below 400. Certificates are not checked."""
    host = handler.host or address
    place = f"{handler.scheme.lower()}://{_bracketed(host)}:{handler.port}"
    url = place + handler.path if handler.path.startswith("/") else f"{place}/{handler.path}"
    try:
        return await asyncio.wait_for(_follow(url, handler), timeout)
    except asyncio.TimeoutError:
        return False, f"{handler.path}: no answer within {timeout:g} s"
    except (OSError, ValueError, EOFError) as error:
        return False, f"{handler.path}: {error}"


async def _follow(url: str, handler: HttpGet) -> Verdict:
    """Redirects are followed on the same host; one that leads away is taken for a pass."""
    first = urlsplit(url)
    for _ in range(_REDIRECTS + 1):
        status, location = await _get(urlsplit(url), handler)
        if location is None or not 300 <= status < 400:
            return 200 <= status < 400, f"{handler.path}: HTTP status {status}"
        url = urljoin(url, location)
        if urlsplit(url).hostname != first.hostname:
            return True, ""
    return False, f"{handler.path}: more than {_REDIRECTS} redirects"


async def _get(url: SplitResult, handler: HttpGet) -> tuple[int, str | None]:
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    port = url.port or (443 if url.scheme == "https" else 80)
    headers = {"Host": url.netloc, "User-Agent": "kube-probe/imagekit", "Accept": "*/*"}
    headers.update(handler.headers)
    lines = [f"GET {target} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
    request = "\r\n".join([*lines, "Connection: close", "", ""]).encode()
    async with _connected(url.hostname or "", port, secure=url.scheme == "https") as (inward, out):
        out.write(request)
        await out.drain()
        try:
            head = await inward.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            raise EOFError("the connection ended without an answer") from error
        except asyncio.LimitOverrunError as error:
            raise ValueError("the answer's head does not end") from error
    first, *rest = head.decode("latin-1").split("\r\n")
    version, _, status = first.partition(" ")
    if not version.startswith("HTTP/") or not status[:3].isdigit():
        raise ValueError("the answer is no HTTP")
    fields = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in rest)}
    return int(status[:3]), fields.get("location") or None


@contextlib.asynccontextmanager
async def _connected(
    host: str, port: int, *, secure: bool = False
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    context = None
    if secure:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    opened = await asyncio.open_connection(host, port, ssl=context, limit=_LONGEST_HEAD_BYTES)
    try:
        yield opened
    finally:
        opened[1].close()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
