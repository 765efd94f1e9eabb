# SPDX-License-Identifier: Apache-2.0
"""Tasks that ask the model beside them."""

import json
import sys
import urllib.request

import sidecars


def ask(text: str) -> str:
    """The model's answer."""
    server = sidecars.connect()
    request = urllib.request.Request(
        f"{server.base_url}/chat/completions",
        json.dumps({"model": server.model, "messages": text}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(json.load(answer)["choices"][0]["message"]["content"])


def outlive(text: str) -> str:
    """The server is made to die, and is asked again when it is back."""
    try:
        ask("die")
    except OSError as error:
        print(f"the server is gone: {type(error).__name__}", flush=True)  # noqa: T201 - the pod's log is looked at
    return ask(text)


if __name__ == "__main__":
    print(ask(sys.argv[1]))  # noqa: T201 - the pod's log is looked at
    sys.exit(int(sys.argv[2]))
