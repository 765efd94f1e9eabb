# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.buildkit.messages import MESSAGES
from imagekit.buildkit.patterns import selected
from imagekit.buildkit.protobuf import Field, decode, encode, fields_of
from imagekit.buildkit.tree import Entry, arranged
from imagekit.errors import BuildError
from imagekit.planning.dockerfile import quoted

SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(min_size=1),
    "bytes": st.binary(min_size=1),
    "bool": st.just(True),
    "int64": st.integers(-(1 << 63), (1 << 63) - 1).filter(bool),
    "uint64": st.integers(1, (1 << 64) - 1),
}


def values(kind: str) -> st.SearchStrategy[Any]:
    return SCALARS[kind] if kind in SCALARS else st.deferred(lambda: messages(kind))


def field_values(field: Field) -> st.SearchStrategy[Any]:
    if field.is_map:
        return st.dictionaries(st.text(), values(field.kind), min_size=1, max_size=3)
    if field.repeated:
        return st.lists(values(field.kind), min_size=1, max_size=3)
    return values(field.kind)


def messages(name: str) -> st.SearchStrategy[dict[str, Any]]:
    fields = fields_of(name).values()
    return st.fixed_dictionaries({}, optional={f.name: field_values(f) for f in fields})


ANY = st.sampled_from(sorted(MESSAGES)).flatmap(
    lambda name: st.tuples(st.just(name), messages(name))
)


@given(ANY)
@settings(max_examples=150, deadline=None)
def test_what_is_written_reads_as_it_was(pair: tuple[str, dict[str, Any]]) -> None:
    """For every message of the table."""
    name, message = pair
    assert decode(name, encode(name, message)) == message


@given(st.sampled_from(sorted(MESSAGES)), st.binary(max_size=80))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_message_or_our_error(name: str, data: bytes) -> None:
    """A worker can't make the codec fail in another way."""
    try:
        decode(name, data)
    except BuildError as error:
        assert "does not read" in error.message  # noqa: PT017 - both ends are right


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)
PATHS = st.lists(NAMES.filter(lambda n: n not in (".", "..")), min_size=1, max_size=3).map("/".join)


@given(st.sets(PATHS, max_size=8), st.lists(st.text("ab*?!/[]\\.", max_size=6), max_size=4))
@settings(max_examples=150, deadline=None)
def test_selecting_keeps_order_and_parents(paths: set[str], patterns: list[str]) -> None:
    """Whatever the patterns are, nothing comes without the folders that it stands in."""
    files = {path for path in paths if not any(other.startswith(f"{path}/") for other in paths)}
    entries = arranged([Entry.made(path, b"") for path in files])
    try:
        kept = [entry.path for entry in selected(entries, excluded=patterns)]
    except re.error:
        raise AssertionError(patterns) from None
    assert kept == [entry.path for entry in entries if entry.path in set(kept)]
    assert all(path.rpartition("/")[0] in {"", *kept} for path in kept)


@given(st.text(st.characters(exclude_characters="\0\r\n")))
def test_quoting_loses_nothing(text: str) -> None:
    """Read as the frontend reads a word in double quotes: a backslash keeps what it escapes."""
    word = quoted(text)
    assert word[0] == word[-1] == '"'
    assert re.sub(r'\\([\\"$])', r"\1", word[1:-1]) == text
    assert not re.search(r'(?<!\\)(?:\\\\)*["$]', word[1:-1])
