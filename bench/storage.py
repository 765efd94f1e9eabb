# SPDX-License-Identifier: Apache-2.0
"""1 GB in one object and in 1,000, to and from an S3 server, beside obstore alone."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from bench.measure import Timing, medians, table, timed

SERVER = "s3rver@3.7.1"
SIZES = {"1 object": (1, 1 << 30), "1,000 objects": (1000, 1 << 20)}
WHO = ("imagekit", "obstore")
BUCKET = "bench"
KEY = "S3RVER"


def run(work: Path, rounds: int) -> str:
    """Tables of wall and CPU seconds; the server is installed in `work` by npm."""
    folder = work / "storage"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    python = _python_with_obstore(folder)
    timings: dict[tuple[str, str], list[Timing]] = {}
    with _server(folder) as url:
        environ = _environ(url, folder)
        for name, (count, size) in SIZES.items():
            source = _files(folder / "source", count, size)
            for turn in range(rounds * len(WHO)):
                who = WHO[turn % len(WHO)]
                uri = f"s3://{BUCKET}/{who}-{turn}"
                for how, place in (("put", source), ("get", folder / "fetched")):
                    command: list[str | Path] = [
                        python,
                        Path(__file__).with_name("transfer.py"),
                        who,
                        how,
                        uri,
                        place,
                    ]
                    timing = timed(command, environ, folder / "log")
                    timings.setdefault((f"{how}, {name}", who), []).append(timing)
                _remove(folder / "fetched")
                shutil.rmtree(folder / "objects" / BUCKET / f"{who}-{turn}", ignore_errors=True)
    wall = medians({key: [each.wall_seconds for each in value] for key, value in timings.items()})
    cpu = medians({key: [each.cpu_seconds for each in value] for key, value in timings.items()})
    return f"Wall seconds\n\n{table(wall, '{:.2f}')}\nCPU seconds\n\n{table(cpu, '{:.2f}')}"


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _files(folder: Path, count: int, size: int) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number in range(count):
        with (folder / f"{number:04}").open("wb") as file:
            for _ in range(size >> 20):
                file.write(os.urandom(1 << 20))
    return folder


def _python_with_obstore(folder: Path) -> Path:
    uv: list[str | Path] = [sys.executable, "-m", "uv"]
    subprocess.run(
        [*uv, "venv", "--quiet", "--python", sys.executable, folder / "venv"], check=True
    )
    python = folder / "venv" / "bin" / "python"
    install: list[str | Path] = [*uv, "pip", "install", "--quiet", "--python", python, "obstore"]
    subprocess.run(install, check=True)
    return python


def _environ(url: str, folder: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "TMPDIR": str(folder),
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_REGION": "us-east-1",
    }


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    """An S3 server of Node's that keeps objects as files, on a free port."""
    npm = ("npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(folder))
    subprocess.run([*npm, SERVER], check=True, stdout=subprocess.DEVNULL)
    with socket.create_server(("127.0.0.1", 0)) as closing:
        port = closing.getsockname()[1]
    program = str(folder / "node_modules" / ".bin" / "s3rver")
    options = ("--silent", "--directory", str(folder / "objects"), "--configure-bucket", BUCKET)
    command = [program, *options, "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url, server)
        yield url
    finally:
        server.terminate()
        server.wait()


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    opener = build_opener(ProxyHandler({}))
    for _ in range(600):
        if server.poll() is not None:
            raise SystemExit("the S3 server ended")
        try:
            opener.open(url, timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the S3 server does not answer")
