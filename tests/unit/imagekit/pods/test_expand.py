# SPDX-License-Identifier: Apache-2.0
"""`$(VAR)`, beside a second reading of the rule, character by character."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from imagekit.pods.expand import expand, unresolved

texts = some.text(alphabet="$()AB x", max_size=12)
values = some.dictionaries(some.sampled_from(["A", "B", "AB", "", "$A"]), texts, max_size=3)


def by_hand(text: str, variables: dict[str, str]) -> str:
    """From the left: `$$` is one dollar, `$(` up to the next `)` is a name, all else itself."""
    out = ""
    while text:
        end = text.find(")")
        if text.startswith("$$"):
            out, text = out + "$", text[2:]
        elif text.startswith("$(") and end >= 0:
            out, text = out + variables.get(text[2:end], text[: end + 1]), text[end + 1 :]
        else:
            out, text = out + text[0], text[1:]
    return out


@given(texts, values)
def test_every_text_is_read_from_the_left(text: str, variables: dict[str, str]) -> None:
    """Values are not read again, whatever stands in them."""
    assert expand(text, variables) == by_hand(text, variables)


@given(texts, values)
def test_what_is_unresolved_is_what_would_stay(text: str, variables: dict[str, str]) -> None:
    """With those names set, nothing is."""
    names = unresolved(text, variables)
    assert not set(names) & set(variables)
    assert unresolved(text, {**variables, **dict.fromkeys(names, "")}) == []
