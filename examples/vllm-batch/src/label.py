# SPDX-License-Identifier: Apache-2.0
"""imagekit run examples/vllm-batch/spec.yaml label:run texts='["a fine day", "a bad one"]'"""

from concurrent.futures import ThreadPoolExecutor

import openai

import sidecars

QUESTION = "Is this text positive, negative or neutral? Answer with one word.\n\n{text}"
AT_ONCE = 16  # vLLM answers many questions together faster than one after another


def run(texts: list[str]) -> list[str]:
    server = sidecars.connect()
    client = openai.OpenAI(base_url=server.base_url, api_key=server.key or "none")

    def label(text: str) -> str:
        answer = client.chat.completions.create(
            model=server.model,
            messages=[{"role": "user", "content": QUESTION.format(text=text)}],
            max_tokens=4,
            temperature=0,
        )
        return (answer.choices[0].message.content or "").strip().lower()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(label, texts))
