# SPDX-License-Identifier: Apache-2.0
"""Images that lie here, for a worker that reads them blob by blob as an OCI layout."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, final

import grpc

from imagekit.buildkit.rpc import codecs
from imagekit.oci.image import Image

_CHUNK_BYTES = 1 << 19


@final
class Content:
    """containerd's content service, for reading alone."""

    def __init__(self, images: Sequence[Image]) -> None:
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
        return {
            "Info": grpc.unary_unary_rpc_method_handler(self._info, read_info, write_info),
            "Read": grpc.unary_stream_rpc_method_handler(self._read, read_content, write_content),
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

    def _blob(
        self, digest: str, context: grpc.ServicerContext
    ) -> tuple[int, Callable[[], BinaryIO]]:
        if digest not in self._blobs:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no blob {digest} in this build")
        return self._blobs[digest]


def _skip(stream: BinaryIO, count: int) -> None:
    """Layers are checked while they are read, so they can't be entered in the middle."""
    while count and (data := stream.read(min(_CHUNK_BYTES, count))):
        count -= len(data)
