# SPDX-License-Identifier: Apache-2.0
"""The proxy for a URL, as the process's environment names it: HTTPS_PROXY, ALL_PROXY, NO_PROXY."""

from __future__ import annotations

import base64
import os
from urllib.parse import SplitResult, unquote, urlsplit

from imagekit.http.failures import UnansweredError
from imagekit.urls import without_credentials
from imagekit.values import frozen


@frozen
class Proxy:
    """`headers` carry its own credentials, and go to nobody else."""

    host: str
    port: int
    headers: tuple[tuple[str, str], ...]


def proxy_for(parts: SplitResult) -> Proxy | None:
    """Which proxy to ask, if any; UnansweredError for what names none that can be used."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - they take long

    proxies = getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    host = parts.hostname or ""
    if not found or proxy_bypass(host) or _in_networks(host, proxies.get("no", "")):
        return None
    return _parsed(found if "://" in found else f"http://{found}")


def _parsed(url: str) -> Proxy:
    parts = urlsplit(url)
    where = without_credentials(url)
    try:
        port = parts.port or 80
    except ValueError:
        port = 0
    if parts.scheme != "http" or not parts.hostname or not port:
        raise UnansweredError(
            f"{where}: not a proxy that can be used",
            hint="a proxy is named as http://HOST:PORT, for https:// too",
            lasting=True,
        )
    headers = []
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        encoded = base64.b64encode(pair.encode()).decode()
        headers.append(("Proxy-Authorization", f"Basic {encoded}"))
    return Proxy(parts.hostname, port, tuple(headers))


def _in_networks(host: str, listed: str) -> bool:
    """Whether NO_PROXY has a network, as 10.0.0.0/8, that an address is in."""
    if "/" not in listed:
        return False
    from ipaddress import ip_address, ip_network  # noqa: PLC0415 - few list networks

    try:
        address = ip_address(host)
    except ValueError:
        return False
    networks = [entry.strip() for entry in listed.split(",") if "/" in entry]
    for entry in networks:
        try:
            if address in ip_network(entry, strict=False):
                return True
        except ValueError:
            continue
    return False
