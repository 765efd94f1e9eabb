# SPDX-License-Identifier: Apache-2.0
"""Object stores (s3, gs, az) through obstore, where the image has it.

Objects appear whole or not at all. Downloads are made of ranges that are fetched in parallel and
belong to one version of the object; uploads are multipart where they are large. Memory is bounded
by the number of parts under way, never by an object's size.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from errno import ENOENT

from . import join, needed, scheme_of, scratch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import IO, Any

_RANGE = 64 << 20
_PART = 16 << 20
_AT_ONCE = 8
_ATTEMPTS = 4
# An object store has no empty directories: this stands for what is in one.
_EMPTY = ".imagekit-empty"
_FINAL = ("NotFoundError", "PermissionDeniedError", "PreconditionError", "UnauthenticatedError")

# obstore reads them by itself, but does not take a plain HTTP there for a wish.
_ENDPOINTS = ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT", "GOOGLE_BASE_URL")

_stores: dict[str, Any] = {}


def fetch(uri: str) -> str:
    store, key = _opened(uri)
    with _said(uri):
        found = _head(store, key)
        target = scratch(uri)
        if found is not None:
            _download(store, [(found, target)])
            return target
        prefix = f"{key}/" if key else ""
        objects = [each for batch in store.list(prefix or None) for each in batch]
        wanted = [(each, _inside(target, each["path"][len(prefix) :])) for each in objects]
        if not wanted:
            raise FileNotFoundError
        for _, path in wanted:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        _download(store, [pair for pair in wanted if not pair[1].endswith(f"/{_EMPTY}")])
    return target


def listing(uri: str) -> list[dict[str, Any]]:
    """The object at the URI, or all below it: path, uri, size_bytes and version of each."""
    opened, key = _opened(uri)
    with _said(uri):
        found = _head(opened, key)
        if found is not None:
            return [_described(found, key.rpartition("/")[2], uri)]
        start = len(f"{key}/") if key else 0
        entries = [
            _described(each, each["path"][start:], join(uri, each["path"][start:]))
            for batch in opened.list(f"{key}/" if key else None)
            for each in batch
            if not each["path"].endswith((f"/{_EMPTY}", "/"))
        ]
        if not entries:
            raise FileNotFoundError
        return entries


def _described(found: Any, path: str, uri: str) -> dict[str, Any]:
    return {"path": path, "uri": uri, "size_bytes": found["size"], "version": found.get("e_tag")}


def store(source: str | bytes, uri: str) -> None:
    opened, key = _opened(uri)
    with _said(uri):
        if isinstance(source, bytes):
            _upload(opened, key, source)
        elif os.path.isdir(source):
            _in_parallel(lambda pair: _upload(opened, *pair), _contents(source, key))
        else:
            _upload(opened, key, source)


def clear(directory: str, names: Iterable[str]) -> None:
    """An object store keeps no half-written objects under their names."""
    for name in names:
        uri = join(directory, name)
        opened, key = _opened(uri)
        try:
            with _said(uri):
                opened.delete(key)
        except FileNotFoundError:
            continue


def settings_for_s3(bucket: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """What obstore does not read from the environment by itself, or reads by another name."""
    given = {
        "endpoint": _first(
            environ,
            *("FLYTE_AWS_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
        ),
        "access_key_id": _first(environ, "FLYTE_AWS_ACCESS_KEY_ID"),
        "secret_access_key": _first(environ, "FLYTE_AWS_SECRET_ACCESS_KEY"),
        "checksum_algorithm": _first(environ, "AWS_CHECKSUM_ALGORITHM") or "SHA256",
    }
    settings: dict[str, Any] = {name: value for name, value in given.items() if value}
    if _is_true(_first(environ, "AWS_SKIP_SIGNATURE", "AWS_NO_SIGN_REQUEST")):
        settings["skip_signature"] = True
    endpoint = given["endpoint"]
    settings["virtual_hosted_style_request"] = not _is_path_style(bucket, endpoint, environ)
    if endpoint and settings["virtual_hosted_style_request"]:
        scheme, _, host = endpoint.partition("://")
        settings["endpoint"] = f"{scheme}://{bucket}.{host}"
    return settings


def _is_path_style(bucket: str, endpoint: str | None, environ: Mapping[str, str]) -> bool:
    """Told, or else for endpoints of one's own, and where a name's dots would break TLS."""
    if _is_true(_first(environ, "AWS_S3_FORCE_PATH_STYLE")):
        return True
    style = _first(environ, "AWS_S3_ADDRESSING_STYLE")
    if style in ("path", "virtual"):
        return style == "path"
    virtual = _first(environ, "AWS_VIRTUAL_HOSTED_STYLE_REQUEST")
    if virtual is not None:
        return not _is_true(virtual)
    return endpoint is not None or "." in bucket


def _first(environ: Mapping[str, str], *names: str) -> str | None:
    return next((environ[name] for name in names if environ.get(name)), None)


def _is_true(value: str | None) -> bool:
    return (value or "").lower() in ("1", "true", "t", "yes", "on")


def _opened(uri: str) -> tuple[Any, str]:
    """The bucket or container, opened once, and the key in it."""
    scheme = scheme_of(uri)
    place, _, key = uri.partition("://")[2].partition("/")
    root = f"{scheme}://{place}"
    if root not in _stores:
        needed("obstore", uri)
        from_url = __import__("obstore.store", fromlist=["from_url"]).from_url
        settings = settings_for_s3(place, os.environ) if scheme in ("s3", "s3a") else None
        client = {"timeout": "300s", "connect_timeout": "20s"}
        endpoint = (settings or {}).get("endpoint") or _first(os.environ, *_ENDPOINTS)
        if str(endpoint).startswith("http://"):
            client["allow_http"] = "true"
        with _said(uri):
            _stores[root] = from_url(root, config=settings, client_options=client)
    return _stores[root], key.strip("/")


def _head(store: Any, key: str) -> Any:
    if not key:
        return None
    try:
        return store.head(key)
    except (_errors().NotFoundError, FileNotFoundError):
        return None


def _inside(directory: str, name: str) -> str:
    if any(part in ("", ".", "..") for part in name.split("/")):
        raise OSError(f"the object {name!r:.200} has no name that a file can have")
    return f"{directory}/{name}"


def _download(store: Any, wanted: list[tuple[Any, str]]) -> None:
    for found, target in wanted:
        with open(target, "xb") as file:
            file.truncate(found["size"])
    _in_parallel(
        lambda part: _download_part(store, *part),
        (
            (found, target, start)
            for found, target in wanted
            for start in range(0, found["size"], _RANGE)
        ),
    )


def _download_part(store: Any, found: Any, target: str, start: int) -> None:
    end = min(start + _RANGE, found["size"])
    with open(target, "r+b") as file:
        file.seek(start)
        _tried(lambda: _copy_range(store, found, file, end))
        if file.tell() != end:
            raise OSError(f"{found['path']} ended early")


def _copy_range(store: Any, found: Any, file: IO[bytes], end: int) -> None:
    """From where the file stands, so that another attempt goes on where one broke off."""
    if file.tell() >= end:
        return
    options: dict[str, Any] = {"range": (file.tell(), end)}
    if found.get("e_tag"):
        options["if_match"] = found["e_tag"]
    for chunk in store.get(found["path"], options=options):
        file.write(chunk)


def _contents(directory: str, key: str) -> Iterator[tuple[str, str | bytes]]:
    for folder, folders, names in os.walk(directory, followlinks=True):
        inside = os.path.relpath(folder, directory)
        prefix = key if inside == "." else f"{key}/{inside}"
        for name in names:
            yield f"{prefix}/{name}", os.path.join(folder, name)
        if not names and not folders:
            yield f"{prefix}/{_EMPTY}", b""


def _upload(store: Any, key: str, source: str | bytes) -> None:
    if isinstance(source, bytes):
        _tried(lambda: store.put(key, source))
        return
    from pathlib import Path

    path = Path(source)
    _tried(lambda: store.put(key, path, chunk_size=_PART, max_concurrency=_AT_ONCE))


def _tried(work: Callable[[], Any]) -> Any:
    """Requests are retried by obstore; a body that breaks off is ours to ask for again."""
    from time import sleep

    for attempt in range(_ATTEMPTS):
        try:
            return work()
        except _errors().BaseError as error:
            if type(error).__name__ in _FINAL or attempt == _ATTEMPTS - 1:
                raise
            sleep(0.2 * 2**attempt)
    raise AssertionError


def _in_parallel(work: Callable[[Any], None], items: Iterable[Any]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _errors() -> Any:
    return __import__("obstore.exceptions", fromlist=["BaseError"])


@contextmanager
def _said(uri: str) -> Iterator[None]:
    errors = _errors()
    try:
        yield
    except (errors.NotFoundError, FileNotFoundError) as error:
        raise FileNotFoundError(ENOENT, "no such object", uri) from error
    except (errors.PermissionDeniedError, errors.UnauthenticatedError, PermissionError) as error:
        raise PermissionError(f"{uri}: access denied") from error
    except errors.BaseError as error:
        text = str(error).strip().partition("\n")[0]
        raise OSError(f"{uri}: {text:.500}") from error
