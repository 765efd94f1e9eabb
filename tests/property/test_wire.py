# SPDX-License-Identifier: Apache-2.0
"""The codec against the real flyteidl and msgpack-by-specification, in both directions."""

from __future__ import annotations

import contextlib
import importlib
import math
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from entrypoint.wire import msgpack
from entrypoint.wire.messages import MESSAGES, layout_of
from entrypoint.wire.protobuf import DEPTH_LIMIT, UNKNOWN, WireError, decode, encode

pytest.importorskip("flyteidl")

MODULES = (
    "flyteidl.core.literals_pb2",
    "flyteidl.core.types_pb2",
    "flyteidl.core.errors_pb2",
    "flyteidl.core.tasks_pb2",
    "flyteidl.core.identifier_pb2",
    "flyteidl.core.interface_pb2",
    "flyteidl.core.artifact_id_pb2",
    "flyteidl.core.security_pb2",
    "flyteidl.core.dynamic_job_pb2",
    "flyteidl.core.workflow_pb2",
    "flyteidl.core.condition_pb2",
    "flyteidl.core.execution_pb2",
    "google.protobuf.wrappers_pb2",
    "google.protobuf.struct_pb2",
    "google.protobuf.timestamp_pb2",
    "google.protobuf.duration_pb2",
)
NESTED = {
    "ResourceEntry": ("Resources", "ResourceEntry"),
    "SchemaColumn": ("SchemaType", "SchemaColumn"),
    "DatasetColumn": ("StructuredDatasetType", "DatasetColumn"),
}


def real(name: str) -> Any:
    """flyteidl's class of a row of the table."""
    path = NESTED.get(name, (name,))
    for module in map(importlib.import_module, MODULES):
        if hasattr(module, path[0]):
            found = module
            for step in path:
                found = getattr(found, step)
            return found
    raise LookupError(name)


SCALARS = {
    "int64": st.integers(-(1 << 63), (1 << 63) - 1),
    "uint64": st.integers(0, (1 << 64) - 1),
    "int32": st.integers(-(1 << 31), (1 << 31) - 1),
    "uint32": st.integers(0, (1 << 32) - 1),
    "enum": st.integers(0, 9),
    "bool": st.booleans(),
    "double": st.floats(),
    "float": st.floats(width=32),
    "string": st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    "bytes": st.binary(max_size=8),
}
# Of one length: where one key begins another, protobuf's C library has an order of its own.
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=2, max_size=2)


def value_of(field: Any, depth: int) -> Any:
    if field.kind in SCALARS:
        return SCALARS[field.kind]
    return message_of(field.kind, depth - 1)


def field_values(field: Any, depth: int) -> Any:
    value = value_of(field, depth)
    if field.is_map:
        return st.dictionaries(KEYS, value, min_size=1, max_size=3)
    if field.repeated:
        return st.lists(value, min_size=1, max_size=3)
    if field.kind in SCALARS and not field.oneof:
        # A default has no presence outside a oneof.
        return value.filter(lambda each: each != type(each)() or math.copysign(1, each or 1) < 0)
    return value


def message_of(name: str, depth: int = 4) -> Any:
    layout = layout_of(name)
    fields = [f for f in layout.in_order if depth > 0 or (f.kind in SCALARS and not f.is_map)]
    alone = [f for f in fields if not f.oneof]
    chosen = [
        st.sampled_from([None, *(f for f in fields if f.oneof == one)]) for one in layout.oneofs
    ]

    def build(picks: Any) -> Any:
        members = [*(pick for pick in picks[1:] if pick), *picks[0]]
        return st.fixed_dictionaries({f.name: field_values(f, depth) for f in members})

    some = st.lists(st.sampled_from(alone), unique=True) if alone else st.just([])
    return st.tuples(some, *chosen).flatmap(build)


any_message = st.sampled_from(sorted(MESSAGES)).flatmap(
    lambda name: st.tuples(st.just(name), message_of(name))
)


def same(left: Any, right: Any) -> Any:
    """Equal, with NaN equal to itself."""
    return repr(left) == repr(right) if "nan" in repr(left) else left == right


def test_the_table_is_flyteidls_own() -> None:
    """Every field has the number, type, label and oneof that flyteidl's descriptor gives it."""
    for name in MESSAGES:
        descriptor = real(name).DESCRIPTOR
        ours = {f.name: (f.number, f.oneof) for f in layout_of(name).in_order}
        theirs = {
            f.name: (f.number, f.containing_oneof.name if f.containing_oneof else "")
            for f in descriptor.fields
        }
        assert ours == theirs, name


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(any_message)
def test_bytes_are_flyteidls_and_read_back(case: Any) -> None:
    """encode gives what flyteidl gives for the same message; decode gives the message again."""
    name, message = case
    data = encode(name, message)
    theirs = real(name).FromString(data)
    assert theirs.SerializeToString(deterministic=True) == data
    assert same(decode(name, data), _sorted_maps(name, message))


def _sorted_maps(name: str, message: Any) -> Any:
    """The message as a decoder sees it: maps in the order of their keys."""
    result = {}
    for field in layout_of(name).in_order:
        if field.name not in message:
            continue
        value = message[field.name]
        if field.is_map:
            value = {key: _inner(field, value[key]) for key in sorted(value)}
        elif field.repeated:
            value = [_inner(field, item) for item in value]
        else:
            value = _inner(field, value)
        result[field.name] = value
    return result


def _inner(field: Any, value: Any) -> Any:
    return _sorted_maps(field.kind, value) if field.is_message else value


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(any_message, st.randoms(use_true_random=False))
def test_flyteidls_bytes_with_unknown_fields_survive(case: Any, chance: random.Random) -> None:
    """A field that the table does not know is kept and written again, at any place."""
    name, message = case
    data = encode(name, message) + b"\xf8\x3f" + bytes((chance.randrange(128),)) + b"\xfa\x3f\x01x"
    decoded = decode(name, data)
    assert decoded[UNKNOWN].endswith(b"\xfa\x3f\x01x")
    assert encode(name, decoded) == data


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["LiteralMap", "Literal", "ErrorDocument", "LiteralType"]),
    st.binary(max_size=60),
)
def test_any_bytes_are_a_message_or_a_wire_error(name: str, data: Any) -> None:
    """Decoding never raises anything else, and accepts what flyteidl accepts."""
    assert _ours(name, data) == _accepted(name, data)


def _accepted(name: str, data: Any) -> Any:
    try:
        real(name).FromString(data)
    except Exception:  # noqa: BLE001
        return False
    return True


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(any_message, st.data())
def test_damaged_messages_are_judged_as_flyteidl_judges_them(case: Any, data: Any) -> None:
    """One byte changed, or the end cut off: both accept, or both refuse."""
    name, message = case
    encoded = bytearray(encode(name, message))
    if encoded:
        position = data.draw(st.integers(0, len(encoded) - 1))
        if data.draw(st.booleans()):
            encoded[position] = data.draw(st.integers(0, 255))
        else:
            del encoded[position:]
    damaged = bytes(encoded)
    assert _ours(name, damaged) == _accepted(name, damaged)
    if _ours(name, damaged):
        theirs = real(name).FromString(damaged)
        again = real(name).FromString(encode(name, decode(name, damaged)))
        both = [each.SerializeToString(deterministic=True) for each in (again, theirs)]
        assert both[0] == both[1]


@pytest.mark.parametrize("levels", [10, 30, 49, 50, 51, 100, 5000])
def test_depth_ends_where_flyteidl_ends(levels: int) -> None:
    """Nesting is refused at the same depth, and never by a RecursionError."""
    data = b""
    for _ in range(levels):
        data = (
            b"\x12"
            + _varint(len(data) + 1 + len(_varint(len(data))))
            + (b"\x0a" + _varint(len(data)) + data)
        )
    assert _ours("Literal", data) == _accepted("Literal", data) == (2 * levels <= DEPTH_LIMIT)


def _ours(name: str, data: Any) -> Any:
    try:
        decode(name, data)
    except WireError:
        return False
    return True


@pytest.mark.parametrize(
    "data",
    [
        "08ffffffffffffffffff7f",  # bits beyond the 64th
        "08ffffffffffffffffffff01",  # eleven bytes
        "888080800001",  # a tag of five bytes
        "88808080800001",  # of six
        "888080801001",  # of more than 32 bits
        "a206818080800000",  # a length of five bytes
        "a20681808080800000",  # of six
        "0001",  # field number 0
        "0f",  # wire type 7
    ],
)
def test_numbers_that_are_too_long_are_judged_as_flyteidl_judges_them(data: str) -> None:
    """Over-long forms that protobuf takes are taken, the others refused."""
    assert _ours("Timestamp", bytes.fromhex(data)) == _accepted("Timestamp", bytes.fromhex(data))


def _varint(number: int) -> Any:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes(encoded) + bytes((number,))


INTEGERS = st.integers(-(1 << 63), (1 << 64) - 1)
packable = st.recursive(
    st.none()
    | st.booleans()
    | INTEGERS
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
    | st.binary(max_size=300),
    lambda inner: (
        st.lists(inner, max_size=20) | st.dictionaries(st.text("ab", max_size=3) | INTEGERS, inner)
    ),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(packable)
def test_msgpack_reads_back_what_it_wrote(value: Any) -> None:
    """A round trip changes nothing."""
    assert msgpack.decode(msgpack.encode(value)) == value


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=60))
def test_any_bytes_are_a_msgpack_value_or_a_wire_error(data: Any) -> None:
    """Decoding never raises anything else."""
    with contextlib.suppress(WireError):
        msgpack.encode(msgpack.decode(data))
