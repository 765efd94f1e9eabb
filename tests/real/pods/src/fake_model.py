# SPDX-License-Identifier: Apache-2.0
"""A fake of an OpenAI-compatible server, on the standard library: it answers, and knows nothing.

`fake_model.py PORT MODEL HOW`. HOW is `well`, or `empty`: healthy, and without a model for ever.
It exits with code 3 when it is asked to die, and with 0 on SIGTERM.
"""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, MODEL, HOW = int(sys.argv[1]), sys.argv[2], sys.argv[3]


def end(code: int, words: str) -> None:
    print(words, flush=True)  # noqa: T201 - the pod's log is looked at
    os._exit(code)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        names = [] if HOW == "empty" else [MODEL]
        listing = {"object": "list", "data": [{"id": name} for name in names]}
        self._answer({} if self.path == "/health" else listing)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "die" in json.dumps(asked):
            end(3, "out of memory, says the fake")
        text = f"fake answer to {json.dumps(asked.get('messages', asked.get('prompt')))}"
        self._answer({"choices": [{"message": {"content": text}, "text": text}]})

    def _answer(self, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        del format, args


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: end(0, "the fake was stopped"))
    print("the fake listens", flush=True)  # noqa: T201 - the pod's log is looked at
    ThreadingHTTPServer(("", PORT), Handler).serve_forever()
