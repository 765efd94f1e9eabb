# SPDX-License-Identifier: Apache-2.0
"""Object storage through obstore on moto's S3 server; and fsspec's memory filesystem."""

from __future__ import annotations

import hashlib
import importlib
import os
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from entrypoint.errors import UnsupportedError
from entrypoint.storage import objects, storage_for
from entrypoint.storage.objects import settings_for_s3
from entrypoint.wire.protobuf import decode, encode
from sidecars.errors import FilesError
from sidecars.weights.bring import bring
from sidecars.weights.lock import lock_files

pytestmark = pytest.mark.s3
MAIN = Path(__file__).parents[3] / "entrypoint" / "__main__.py"
RANGE = 5 << 20
LARGE = 3 * objects._PART + 12_345


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as closing:
        port = closing.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(url, server)
        yield url
    finally:
        server.terminate()
        server.wait()


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    opener = build_opener(ProxyHandler({}))
    for _ in range(600):
        assert server.poll() is None, "moto's server ended"
        try:
            opener.open(url, timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("moto's server does not answer")


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A fresh bucket, and obstore's own view of it."""
    for name, value in environment(endpoint).items():
        monkeypatch.setenv(name, value)
    name = f"bucket-{os.urandom(6).hex()}"
    store = importlib.import_module("obstore.store").S3Store(
        name, endpoint=endpoint, client_options={"allow_http": True}, region="us-east-1"
    )
    opener = build_opener(ProxyHandler({}))
    opener.open(Request(f"{endpoint}/{name}", method="PUT"), timeout=30).close()
    objects._stores.clear()
    store.name = f"s3://{name}"
    yield store
    objects._stores.clear()


def environment(endpoint: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
    }


def test_small_and_large_files_come_back(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one request or in parallel parts, whatever the boundaries."""
    monkeypatch.setattr(objects, "_RANGE", RANGE)
    storage = storage_for("s3://x")
    for size in (0, 1, RANGE, RANGE + 1, objects._PART, LARGE):
        source = tmp_path / f"{size}.bin"
        source.write_bytes(os.urandom(1024) * (size // 1024) + b"x" * (size % 1024))
        uri = f"{bucket.name}/some/{size}.bin"
        storage.store(str(source), uri)
        fetched = Path(storage.fetch(uri))
        assert fetched.name == source.name
        assert digest(fetched) == digest(source)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_directories_come_back(bucket: Any, tmp_path: Path) -> None:
    """With what is in them, empty directories too, and odd names."""
    source = tmp_path / "made"
    contents = {"a": b"A", "sub/b": b"", "sub/deep/c d é": b"C", "sub/100%": b"%"}
    for name, data in contents.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(data)
    (source / "empty").mkdir()
    storage = storage_for("s3://x")
    storage.store(str(source), f"{bucket.name}/dir")
    fetched = Path(storage.fetch(f"{bucket.name}/dir"))
    assert (fetched / "empty").is_dir()
    found = {
        str(path.relative_to(fetched)): path.read_bytes()
        for path in fetched.rglob("*")
        if path.is_file()
    }
    assert found == contents


def test_many_objects_come_back(bucket: Any, tmp_path: Path) -> None:
    """More than one page of a listing."""
    source = tmp_path / "many"
    source.mkdir()
    for number in range(1_100):
        (source / f"{number}").write_text(f"{number}")
    storage = storage_for("s3://x")
    storage.store(str(source), f"{bucket.name}/many")
    fetched = Path(storage.fetch(f"{bucket.name}/many"))
    assert {path.name: path.read_text() for path in fetched.iterdir()} == {
        f"{number}": f"{number}" for number in range(1_100)
    }


def test_what_is_not_there_is_missing(bucket: Any) -> None:
    """An object, a directory, and a name that only begins like another; no bucket is worse."""
    storage = storage_for("s3://x")
    storage.store(b"x", f"{bucket.name}/dirt")
    for uri in (f"{bucket.name}/none", f"{bucket.name}/dir"):
        with pytest.raises(FileNotFoundError):
            storage.fetch(uri)
    with pytest.raises(OSError, match=r"s3://no-such-bucket/a: .*404"):
        storage.fetch("s3://no-such-bucket/a")


def test_records_are_cleared(bucket: Any) -> None:
    """Those that are named, whether they are there or not, and no others."""
    storage = storage_for("s3://x")
    for name in ("outputs.pb", "other"):
        storage.store(b"x", f"{bucket.name}/out/{name}")
    storage.clear(f"{bucket.name}/out", ["outputs.pb", "error.pb"])
    left = [each["path"] for batch in bucket.list() for each in batch]
    assert left == ["out/other"]


def test_uploads_carry_checksums(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the server to verify; and path style is the default for one's own endpoint."""
    seen: list[tuple[str, str]] = []

    class Recorder(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, self.headers["x-amz-checksum-sha256"]))
            self.send_response(200)
            self.send_header("ETag", '"e"')
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            """Quietly."""

    with HTTPServer(("127.0.0.1", 0), Recorder) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        for name, value in environment(f"http://127.0.0.1:{server.server_port}").items():
            monkeypatch.setenv(name, value)
        objects.store(b"data", "s3://bucket-of-recorder/key")
        thread.join()
    assert seen == [
        ("/bucket-of-recorder/key", b64encode(hashlib.sha256(b"data").digest()).decode())
    ]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, {"virtual_hosted_style_request": True}),
        (
            {"AWS_ENDPOINT_URL": "http://h:1", "AWS_SKIP_SIGNATURE": "true"},
            {
                "endpoint": "http://h:1",
                "skip_signature": True,
                "virtual_hosted_style_request": False,
            },
        ),
        (
            {"AWS_ENDPOINT_URL": "https://example", "AWS_S3_ADDRESSING_STYLE": "virtual"},
            {"endpoint": "https://b.example", "virtual_hosted_style_request": True},
        ),
        ({"AWS_S3_FORCE_PATH_STYLE": "true"}, {"virtual_hosted_style_request": False}),
        (
            {
                "AWS_ENDPOINT_URL": "https://other",
                "FLYTE_AWS_ENDPOINT": "http://flyte:9000",
                "FLYTE_AWS_ACCESS_KEY_ID": "id",
                "FLYTE_AWS_SECRET_ACCESS_KEY": "secret",
            },
            {
                "endpoint": "http://flyte:9000",
                "access_key_id": "id",
                "secret_access_key": "secret",
                "virtual_hosted_style_request": False,
            },
        ),
    ],
    ids=["amazon", "own", "virtual", "path", "flyte"],
)
def test_the_environment_says_where_and_how(environ: dict[str, str], expected: Any) -> None:
    """By the clouds' own names, and Flyte's before them."""
    assert settings_for_s3("b", environ) == {"checksum_algorithm": "SHA256", **expected}


def test_a_body_that_breaks_off_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a server that ends each answer early until it has ended four."""
    content = os.urandom(3_000_000)
    ranges: list[str] = []

    class Breaking(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.begin(200, len(content))

        def do_GET(self) -> None:
            ranges.append(self.headers["Range"])
            start, end = map(int, ranges[-1].removeprefix("bytes=").split("-"))
            self.begin(206, end + 1 - start, f"bytes {start}-{end}/{len(content)}")
            body = content[start : end + 1]
            self.wfile.write(body[:500_000] if len(ranges) <= 4 else body)

        def begin(self, status: int, size: int, span: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(size))
            self.send_header("ETag", '"e"')
            self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
            if span:
                self.send_header("Content-Range", span)
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            """Quietly."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Breaking) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        for name, value in environment(f"http://127.0.0.1:{server.server_port}").items():
            monkeypatch.setenv(name, value)
        try:
            path = objects.fetch("s3://bucket-that-breaks/key")
        finally:
            server.shutdown()
            thread.join()
    assert Path(path).read_bytes() == content
    assert len(ranges) == 5


def test_names_that_lead_out_of_the_directory_are_refused() -> None:
    """Whoever can write a bucket can't write elsewhere on this machine."""
    for name in ("../a", "a/../../b", "/a", "a//b", "."):
        with pytest.raises(OSError, match="no name that a file can have"):
            objects._inside("/target", name)


def test_a_task_runs_from_s3_to_s3(bucket: Any, endpoint: str, tmp_path: Path) -> None:
    """Inputs, a file, outputs; a stale error of an earlier attempt is gone."""
    (tmp_path / "mod.py").write_text(
        "from imagekit import File\n"
        "def copy(x: File) -> File:\n"
        "    with x.open() as file, open('made.txt', 'w') as made:\n"
        "        made.write(file.read().upper())\n"
        "    return File('made.txt')\n"
        "def fail(x: File) -> int:\n"
        "    raise ValueError(x.path)\n"
    )
    storage = storage_for("s3://x")
    storage.store(b"content", f"{bucket.name}/in/data.txt")
    blob = {"metadata": {"type": {}}, "uri": f"{bucket.name}/in/data.txt"}
    inputs = encode("LiteralMap", {"literals": {"x": {"scalar": {"blob": blob}}}})
    storage.store(inputs, f"{bucket.name}/in/inputs.pb")
    for task, left in (("fail", "error.pb"), ("copy", "outputs.pb"), ("fail", "error.pb")):
        run_task(bucket.name, task, endpoint, tmp_path)
        names = [each["path"] for batch in bucket.list("out") for each in batch]
        assert [name for name in names if name.endswith(".pb")] == [f"out/{left}"]
        if task == "copy":
            path = storage.fetch(f"{bucket.name}/out/outputs.pb")
            outputs = decode("LiteralMap", Path(path).read_bytes())
            uri = outputs["literals"]["o0"]["scalar"]["blob"]["uri"]
            assert Path(storage.fetch(uri)).read_text() == "CONTENT"


def run_task(bucket: str, task: str, endpoint: str, workdir: Path) -> None:
    words = [
        *("execute", "--inputs", f"{bucket}/in/inputs.pb", "--output-prefix", f"{bucket}/out"),
        *("--", "task-module", "mod", "task-name", task),
    ]
    packages = Path(importlib.import_module("obstore").__file__ or "").parents[1]
    root = MAIN.parents[1]
    environ = {
        **environment(endpoint),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{packages}{os.pathsep}{root}",
    }
    done = subprocess.run(
        [sys.executable, "-I", str(MAIN), *words],
        cwd=workdir,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == (0 if task == "copy" else 10), done.stderr


def test_other_schemes_go_through_fsspec(tmp_path: Path) -> None:
    """Files, directories, what is missing, and a scheme that nobody knows."""
    storage = storage_for("memory://x")
    (tmp_path / "d" / "sub").mkdir(parents=True)
    (tmp_path / "d" / "sub" / "a").write_text("A")
    storage.store(b"data", "memory://place/out/f")
    storage.store(str(tmp_path / "d"), "memory://place/d")
    assert Path(storage.fetch("memory://place/out/f")).read_bytes() == b"data"
    assert Path(storage.fetch("memory://place/d"), "sub", "a").read_text() == "A"
    storage.clear("memory://place/out", ["f", "g"])
    with pytest.raises(FileNotFoundError):
        storage.fetch("memory://place/out/f")
    with pytest.raises(UnsupportedError, match="no storage for nobodys://"):
        storage.fetch("nobodys://x/y")


def test_a_sidecars_model_comes_from_an_object_store(
    bucket: Any, endpoint: str, tmp_path: Path
) -> None:
    """A lock holds every byte, and files that came before are not fetched again."""
    files = {f"model-{number}.safetensors": os.urandom(100_000) for number in range(3)}
    for name, data in files.items():
        bucket.put(f"org/{name}", data)
    source, said = f"{bucket.name}/org", list[str]()
    settings = {**environment(endpoint), "PATH": os.environ["PATH"]}

    def brought(name: str, lock: Any = None) -> dict[str, bytes]:
        description = {"source": source, **({"lock": lock} if lock else {})}
        until = time.monotonic() + 60
        bring(description, str(tmp_path / name), settings, until, said.append)
        folder = tmp_path / name
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.name[0] != "."}

    assert brought("plain") == files
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    lock = lock_files(source, (), str(scratch), settings, time.monotonic() + 60, said.append)
    assert {each["path"] for each in lock["files"]} == set(files)
    assert brought("locked", lock) == files
    kept = tmp_path / ".again.partial"
    kept.mkdir()
    (kept / "model-0.safetensors").write_bytes(files["model-0.safetensors"])
    bucket.delete("org/model-0.safetensors")
    assert brought("again", lock) == files
    with pytest.raises(FilesError, match=r"no longer has model-0\.safetensors"):
        brought("gone", lock)
    bucket.put("org/model-0.safetensors", os.urandom(100_000))
    with pytest.raises(FilesError, match=r"not the files of the lock: model-0\.safetensors"):
        brought("changed", lock)
    assert not (tmp_path / "changed").exists()


def test_patterns_choose_among_objects(bucket: Any, endpoint: str, tmp_path: Path) -> None:
    """Without a lock too, in folders, or of a source that is one object; a lock fetches no more."""
    for name in ("config.json", "sub/a.safetensors", "sub/a.bin", "other/b.safetensors"):
        bucket.put(f"org/{name}", name.encode())
    settings = {**environment(endpoint), "PATH": os.environ["PATH"]}

    def brought(name: str, source: str, **more: Any) -> set[str]:
        into = tmp_path / name
        description = {"source": source, **more}
        bring(description, str(into), settings, time.monotonic() + 60, lambda _: None)
        found = {path.relative_to(into).as_posix() for path in into.rglob("*") if path.is_file()}
        return found - {".imagekit-files.json"}

    source, patterns = f"{bucket.name}/org", ["*.safetensors"]
    assert brought("some", source, include=patterns) == {"sub/a.safetensors", "other/b.safetensors"}
    with pytest.raises(FilesError, match="no file that is wanted"):
        brought("none", source, include=["*.gguf"])
    one = f"{source}/sub/a.bin"
    assert brought("one", one) == {"a.bin"}
    (tmp_path / "scratch").mkdir()
    until = time.monotonic() + 60
    lock = lock_files(one, (), str(tmp_path / "scratch"), settings, until, lambda _: None)
    assert brought("locked", one, lock=lock) == {"a.bin"}


def test_a_second_attempt_goes_on(bucket: Any, endpoint: str, tmp_path: Path) -> None:
    """With what came and is still that version; what an attempt left besides is no hindrance."""
    names = [f"sub/{number}.safetensors" for number in range(3)]
    for name in names:
        bucket.put(f"org/{name}", os.urandom(1000))
    settings = {**environment(endpoint), "PATH": os.environ["PATH"]}
    partial = tmp_path / ".model.partial"
    blocked = partial / names[2]
    blocked.mkdir(parents=True)
    (partial / "sub/stale").write_text("of another time")

    def brought() -> None:
        description = {"source": f"{bucket.name}/org"}
        until = time.monotonic() + 60
        bring(description, str(tmp_path / "model"), settings, until, lambda _: None)

    with pytest.raises(FilesError, match=r"sub/2\.safetensors could not be fetched"):
        brought()
    blocked.rmdir()
    marked, changed = bytes(1000), os.urandom(1000)
    (partial / names[0]).write_bytes(marked)
    bucket.put(f"org/{names[1]}", changed)
    brought()
    found = {path.name: path.read_bytes() for path in (tmp_path / "model/sub").iterdir()}
    assert set(found) == {"0.safetensors", "1.safetensors", "2.safetensors"}
    assert found["0.safetensors"] == marked
    assert found["1.safetensors"] == changed
