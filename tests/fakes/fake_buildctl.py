# SPDX-License-Identifier: Apache-2.0
"""A stand-in for `buildctl dial-stdio`: carries its input and output to a Docker Engine's BuildKit.

Run as a program. The variable FAKE_BUILDCTL_ENGINE is the path of the engine's socket.
"""

import os
import socket
import sys
import threading

UPGRADE = b"POST /grpc HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"


def main() -> None:
    if sys.argv[1:] != ["dial-stdio"]:
        sys.exit(f"error: no command {sys.argv[1:]}")
    path = os.environ.get("FAKE_BUILDCTL_ENGINE", "/run/buildkit/buildkitd.sock")
    worker = socket.socket(socket.AF_UNIX)
    try:
        worker.connect(path)
    except OSError as error:
        sys.exit(f"error: dial unix {path}: connect: {error.strerror}")
    worker.sendall(UPGRADE)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += worker.recv(1)
    threading.Thread(target=send, args=(worker,), daemon=True).start()
    while data := worker.recv(1 << 16):
        os.write(1, data)


def send(worker: socket.socket) -> None:
    while data := os.read(0, 1 << 16):
        worker.sendall(data)
    worker.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    main()
