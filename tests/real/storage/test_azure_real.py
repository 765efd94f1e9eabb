# SPDX-License-Identifier: Apache-2.0
"""Azure's object storage through obstore, on Azurite, which npm installs."""

from __future__ import annotations

import hashlib
import hmac
import os
import socket
import subprocess
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

import pytest

pytestmark = [pytest.mark.s3, pytest.mark.network, pytest.mark.slow]
SERVER = "azurite@3.37.0"
ACCOUNT = "devstoreaccount1"
# The emulator's own, as its documentation publishes it.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
CONTAINER = "container"
SCRIPT = """
import os, sys
from entrypoint.storage import storage_for

folder, uri = sys.argv[1:]
storage = storage_for(uri)
storage.store(folder, uri)
fetched = storage.fetch(uri)
for path, _, names in os.walk(folder):
    for name in names:
        place = os.path.relpath(os.path.join(path, name), folder)
        with open(os.path.join(folder, place), "rb") as one:
            with open(os.path.join(fetched, place), "rb") as other:
                assert one.read() == other.read(), place
storage.clear(uri, ["large", "never there"])
try:
    storage.fetch(uri + "/large")
except FileNotFoundError:
    print("gone")
"""


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("azurite")
    npm = ("npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(folder))
    subprocess.run([*npm, SERVER], check=True, capture_output=True)
    with socket.create_server(("127.0.0.1", 0)) as closing:
        port = closing.getsockname()[1]
    program = folder / "node_modules" / ".bin" / "azurite-blob"
    options = ("--silent", "--skipApiVersionCheck", "--location", str(folder), "--blobPort")
    server = subprocess.Popen([program, *options, str(port)], stdout=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}/{ACCOUNT}"
        make_container(url, server)
        yield url
    finally:
        server.terminate()
        server.wait()


def make_container(url: str, server: subprocess.Popen[bytes]) -> None:
    opener = build_opener(ProxyHandler({}))
    for _ in range(600):
        assert server.poll() is None, "Azurite ended"
        try:
            opener.open(signed(url), timeout=5).close()
        except ConnectionError:
            time.sleep(0.1)
        except OSError as error:
            if not isinstance(getattr(error, "reason", None), ConnectionError):
                raise
            time.sleep(0.1)
        else:
            return
    raise AssertionError("Azurite does not answer")


def signed(url: str) -> Request:
    """Shared Key, as the REST API of Azure's storage describes it."""
    own = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
    text = "PUT" + "\n" * 12 + "".join(f"{name}:{value}\n" for name, value in own.items())
    text += f"/{ACCOUNT}/{ACCOUNT}/{CONTAINER}\nrestype:container"
    signature = hmac.new(b64decode(KEY), text.encode(), hashlib.sha256).digest()
    word = f"SharedKey {ACCOUNT}:{b64encode(signature).decode()}"
    headers = {**own, "Authorization": word, "Content-Length": "0"}
    return Request(f"{url}/{CONTAINER}?restype=container", method="PUT", headers=headers)


@pytest.mark.parametrize("uri", [f"az://{CONTAINER}/one", f"abfs://{CONTAINER}/two"])
def test_a_directory_comes_back_as_it_was(endpoint: str, uri: str, tmp_path: Path) -> None:
    """Over plain HTTP, as the endpoint says; in ranges and parts where it is large."""
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "a b?#é").write_text("1")
    (folder / "large").write_bytes(os.urandom(70 << 20))
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "TMPDIR": str(tmp_path),
        "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
        "AZURE_STORAGE_ACCOUNT_KEY": KEY,
        "AZURE_STORAGE_ENDPOINT": endpoint,
    }
    command = [sys.executable, "-c", SCRIPT, str(folder), uri]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "gone\n"
