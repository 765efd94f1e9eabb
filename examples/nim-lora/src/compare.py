# SPDX-License-Identifier: Apache-2.0
"""imagekit run examples/nim-lora/spec.yaml compare:run prompt=Hello adapter=french"""

import openai

import sidecars


def run(prompt: str, adapter: str) -> dict[str, str]:
    """What the model says, and what it says with the adapter."""
    server = sidecars.connect()
    client = openai.OpenAI(base_url=server.base_url, api_key="none")
    answers = {}
    for model in (server.model, adapter):
        answer = client.completions.create(model=model, prompt=prompt, max_tokens=16)
        answers[model] = answer.choices[0].text
    return answers
