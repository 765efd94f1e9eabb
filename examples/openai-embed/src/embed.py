# SPDX-License-Identifier: Apache-2.0
"""imagekit run examples/openai-embed/spec.yaml embed:run texts='["one", "two"]'"""

import json
import urllib.request

import sidecars


def run(texts: list[str]) -> list[int]:
    """The number of dimensions of each text's embedding."""
    server = sidecars.connect()
    request = urllib.request.Request(
        f"{server.base_url}/embeddings",
        json.dumps({"model": server.model, "input": texts}).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {server.key}"},
    )
    with urllib.request.urlopen(request) as answer:
        return [len(each["embedding"]) for each in json.load(answer)["data"]]
