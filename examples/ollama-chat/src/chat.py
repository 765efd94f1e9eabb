# SPDX-License-Identifier: Apache-2.0
"""imagekit run examples/ollama-chat/spec.yaml chat:ask question='Why is the sky blue?'"""

import ollama

import sidecars


def ask(question: str) -> str:
    server = sidecars.connect()
    client = ollama.Client(host=server.url)
    answer = client.chat(model=server.model, messages=[{"role": "user", "content": question}])
    return str(answer.message.content)
