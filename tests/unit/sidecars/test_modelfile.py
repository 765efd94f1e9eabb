# SPDX-License-Identifier: Apache-2.0
"""Modelfiles as the fields that servers take."""

from __future__ import annotations

import pytest

from sidecars.engines.modelfile import translate
from sidecars.errors import OptionError

TEXT = '''
# a comment
FROM llama3.2:3b
parameter temperature 0.5
PARAMETER num_ctx 4096
PARAMETER stop "<|a|>"
PARAMETER stop <|b|>
TEMPLATE """{{ if .System }}{{ .System }}
# not a comment, {"json": 1}
{{ end }}"""
SYSTEM You are "terse".
MESSAGE user Hello there
MESSAGE assistant """Hi
you"""
LICENSE MIT
'''


def test_every_instruction_has_its_field() -> None:
    """Types, lists and several lines; braces are left alone."""
    assert translate(TEXT) == {
        "from": "llama3.2:3b",
        "parameters": {"temperature": 0.5, "num_ctx": 4096, "stop": ["<|a|>", "<|b|>"]},
        "template": '{{ if .System }}{{ .System }}\n# not a comment, {"json": 1}\n{{ end }}',
        "system": 'You are "terse".',
        "messages": [
            {"role": "user", "content": "Hello there"},
            {"role": "assistant", "content": "Hi\nyou"},
        ],
        "license": ["MIT"],
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SYSTEM hi", "no FROM"),
        ("FROM ./model.gguf", "line 1: FROM ./model.gguf: a file has to be an absolute path"),
        ("FROM a\nADAPTER x.gguf", "line 2: ADAPTER x.gguf: a file has to be"),
        ("FROM a\nFORM b", "line 2: no instruction 'FORM'"),
        ("FROM a\nPARAMETER top_k", "line 2: PARAMETER top_k has no value"),
        ("FROM a\nMESSAGE robot hi", "line 2: MESSAGE 'robot'"),
        ('FROM a\nTEMPLATE """x', "line 2: its quotes are never closed"),
        ("FROM", "line 1: FROM has no value"),
    ],
)
def test_what_has_no_field_is_refused_with_its_line(text: str, reason: str) -> None:
    """None is left out in silence."""
    with pytest.raises(OptionError, match=reason):
        translate(text)


def test_files_are_lists_of_paths() -> None:
    """Which the step uploads; the server reads no path."""
    text = "FROM /models/a.gguf\nADAPTER /models/b.gguf\nADAPTER {{.inputs.style}}"
    assert translate(text) == {
        "files": ["/models/a.gguf"],
        "adapters": ["/models/b.gguf", "{{.inputs.style}}"],
    }


def test_a_model_that_has_its_files_needs_no_from() -> None:
    """They are the sidecar's."""
    assert translate("SYSTEM hi", has_files=True) == {"system": "hi"}
