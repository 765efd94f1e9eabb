# SPDX-License-Identifier: Apache-2.0
"""Runs inside a base's own interpreter (3.10 and later), never imported by imagekit itself.

Reads file descriptors from the socket that is its standard input, and forks for each: the child
serves one batch. So every batch is compiled in a process of the same state, whatever was
compiled before, which `marshal` needs to give the same bytes for the same source.

Frames, all lengths as four bytes, big-endian: the number of files, then of each the path's length,
path, source's length, source. When all have come, the answers are made, and sent in one go: of each
the .pyc's length and bytes, or 0xFFFFFFFF where the source does not compile.
"""

import gc
import importlib.util
import io
import marshal
import os
import signal
import socket
import sys

UNCHECKED_HASH = (1).to_bytes(4, "little")  # PEP 552: hash-based, not checked against the source
FAILED = b"\xff\xff\xff\xff"


def compiled(path: str, source: bytes) -> "bytes | None":
    try:
        code = compile(source, path, "exec", dont_inherit=True, optimize=0)
        body = marshal.dumps(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return None
    return importlib.util.MAGIC_NUMBER + UNCHECKED_HASH + importlib.util.source_hash(source) + body


def serve(connection: socket.socket) -> None:
    with connection.makefile("rb") as stream:
        sources = [(_frame(stream), _frame(stream)) for _ in range(_number(stream))]
    answers = []
    for path, source in sources:
        result = compiled(path.decode("utf-8", "surrogateescape"), source)
        answers.append(FAILED if result is None else len(result).to_bytes(4, "big") + result)
    connection.sendall(b"".join(answers))


def _number(stream: io.BufferedReader) -> int:
    return int.from_bytes(stream.read(4), "big")


def _frame(stream: io.BufferedReader) -> bytes:
    return stream.read(_number(stream))


def main() -> None:
    gc.disable()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    control = socket.socket(fileno=0)
    control.sendall(sys.implementation.cache_tag.encode().ljust(64))
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        if os.fork() == 0:
            control.close()
            serve(socket.socket(fileno=descriptors[0]))
            os._exit(0)
        os.close(descriptors[0])


if __name__ == "__main__":
    main()
