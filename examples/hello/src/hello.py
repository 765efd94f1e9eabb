# SPDX-License-Identifier: Apache-2.0
"""imagekit run examples/hello/spec.yaml hello:greet name=world"""


def greet(name: str, times: int = 1) -> str:
    return ", ".join([f"Hello {name}"] * times)
