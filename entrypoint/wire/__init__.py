# SPDX-License-Identifier: Apache-2.0
"""Flyte's messages as plain dictionaries, and their encodings, in the standard library alone.

A message is a dict from field name to value: `{"scalar": {"primitive": {"integer": 5}}}`. An absent
field is an absent key. `messages` is the one table of field numbers; `protobuf` encodes by it,
`msgpack` packs untyped values, `plain` is the JSON form for people.
"""
