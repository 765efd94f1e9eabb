# SPDX-License-Identifier: Apache-2.0
"""Blobs that lie here: images that a worker reads as OCI layouts, and its caches in folders."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, final

import grpc

from imagekit.buildkit.cache_folder import CacheFolder
from imagekit.buildkit.rpc import codecs
from imagekit.oci.image import Image

_CHUNK_BYTES = 1 << 19
_STORE = "buildkit-attachable-store-id"


@final
class Content:
    """containerd's content service; only folders can be written to."""

    def __init__(self, images: Sequence[Image], folders: Sequence[CacheFolder] = ()) -> None:
        self._folders = {f"local:{folder.identifier}": folder for folder in folders}
        self._blobs: dict[str, tuple[int, Callable[[], BinaryIO]]] = {}
        for image in images:
            documents = {
                image.digest: image.manifest_bytes,
                image.config_digest: image.config_bytes,
            }
            for digest, data in documents.items():
                self._blobs[digest] = (len(data), functools.partial(io.BytesIO, data))
            for layer in image.layers:
                self._blobs[layer.digest] = (layer.size_bytes, layer.open)

    def methods(self) -> dict[str, Any]:
        write_info, read_info = codecs("InfoResponse", "InfoRequest")
        write_content, read_content = codecs("ReadContentResponse", "ReadContentRequest")
        write_written, read_written = codecs("WriteContentResponse", "WriteContentRequest")
        return {
            "Info": grpc.unary_unary_rpc_method_handler(self._info, read_info, write_info),
            "Read": grpc.unary_stream_rpc_method_handler(self._read, read_content, write_content),
            "Write": grpc.stream_stream_rpc_method_handler(
                self._write, read_written, write_written
            ),
        }

    def _info(self, asked: dict[str, Any], context: grpc.ServicerContext) -> dict[str, Any]:
        digest = asked.get("digest", "")
        size_bytes, _ = self._blob(digest, context)
        return {"info": {"digest": digest, "size": size_bytes}}

    def _read(
        self, asked: dict[str, Any], context: grpc.ServicerContext
    ) -> Iterator[dict[str, Any]]:
        size_bytes, open_blob = self._blob(asked.get("digest", ""), context)
        offset = asked.get("offset", 0)
        end = offset + asked["size"] if asked.get("size") else size_bytes
        with open_blob() as stream:
            _skip(stream, offset)
            while offset < end and (data := stream.read(min(_CHUNK_BYTES, end - offset))):
                yield {"offset": offset, "data": data}
                offset += len(data)

    def _write(
        self, messages: Iterator[dict[str, Any]], context: grpc.ServicerContext
    ) -> Iterator[dict[str, Any]]:
        folder = self._folder(context)
        if folder is None:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "images are not written to")
            return
        yield from folder.write(messages, context)

    def _folder(self, context: grpc.ServicerContext) -> CacheFolder | None:
        named = dict(context.invocation_metadata()).get(_STORE)
        return self._folders.get(str(named))

    def _blob(
        self, digest: str, context: grpc.ServicerContext
    ) -> tuple[int, Callable[[], BinaryIO]]:
        folder = self._folder(context)
        size_bytes = None if folder is None else folder.size_bytes(digest)
        if folder is not None and size_bytes is not None:
            return size_bytes, functools.partial(folder.open, digest)
        if digest not in self._blobs:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no blob {digest} in this build")
        return self._blobs[digest]


def _skip(stream: BinaryIO, count: int) -> None:
    """Layers are checked while they are read, so they can't be entered in the middle."""
    while count and (data := stream.read(min(_CHUNK_BYTES, count))):
        count -= len(data)
