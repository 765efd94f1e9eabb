# SPDX-License-Identifier: Apache-2.0
"""A task without packages."""


def greet(name: str) -> str:
    return f"hello, {name}"
