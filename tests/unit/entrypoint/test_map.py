# SPDX-License-Identifier: Apache-2.0
"""map-execute: which element, of which inputs, and what is an error."""

from __future__ import annotations

import json
from typing import Any

import pytest

from entrypoint.contract import LEGACY_MAP_RESOLVER
from entrypoint.wire.lazy import elements, entries
from entrypoint.wire.protobuf import decode, encode
from tests.house.project import ROOT
from tests.unit.entrypoint.workdir import FLYTE_RESOLVER, Result, Workdir, literal

CODE = """
def scaled(x: int, factor: float) -> float:
    return x * factor
def joined(x: list[int], y: list[int]) -> int:
    return sum(x) + sum(y)
"""
RESOLVER = "flytekit.core.array_node_map_task.ArrayNodeMapTaskResolver"
INDEX = {"BATCH_JOB_ARRAY_INDEX_VAR_NAME": "ELEMENT", "ELEMENT": "1"}


def many(*values: Any) -> dict[str, Any]:
    items = [value if isinstance(value, dict) else literal(value) for value in values]
    return {"collection": {"literals": items}}


def run(
    workdir: Workdir,
    literals: dict[str, Any],
    task: str = "scaled",
    bound: str = "factor",
    **environ: str,
) -> Result:
    workdir.module("tasks", CODE)
    data = encode("LiteralMap", {"literals": literals})
    (workdir.path / "inputs.pb").write_bytes(data)
    words = ("vars", bound, "resolver", FLYTE_RESOLVER, "task-module", "tasks", "task-name", task)
    where = ("--inputs", "inputs.pb", "--output-prefix", "out", "--resolver", RESOLVER)
    return workdir.run("map-execute", *where, "--", *words, environ=environ or INDEX)


def test_one_element_is_computed_with_bound_inputs_whole(workdir: Workdir) -> None:
    """The index is the variable's value and the offset; the output is one element's."""
    inputs = {"x": many(10, 20, 30), "factor": literal(0.5)}
    assert run(workdir, inputs).code == 0
    assert workdir.outputs() == {"literals": {"o0": literal(10.0)}}
    assert run(workdir, inputs, **INDEX, BATCH_JOB_ARRAY_INDEX_OFFSET="1").code == 0
    assert workdir.outputs() == {"literals": {"o0": literal(15.0)}}


def test_lists_of_lists_and_a_bound_list(workdir: Workdir) -> None:
    """Of a bound list all is given; of a list of lists, one list."""
    inputs = {"x": many(many(1), many(2, 3)), "y": many(10, 20)}
    assert run(workdir, inputs, "joined", "y").code == 0
    assert workdir.outputs() == {"literals": {"o0": literal(35)}}


@pytest.mark.parametrize(
    ("inputs", "environ", "code", "problem"),
    [
        ({"x": many(1)}, {"ELEMENT": "1"}, 2, "map-execute needs BATCH_JOB_ARRAY_INDEX_VAR_NAME"),
        ({"x": many(1)}, {"BATCH_JOB_ARRAY_INDEX_VAR_NAME": "E"}, 2, "E, which is not set"),
        ({"x": many(1)}, INDEX, 10, "input x has no element 1"),
        ({"x": literal(1)}, INDEX, 10, "input x is neither a list nor bound"),
    ],
    ids=["no-name", "no-value", "too-short", "no-list"],
)
def test_no_other_element_is_computed_instead(
    workdir: Workdir, inputs: dict[str, Any], environ: dict[str, str], code: int, problem: str
) -> None:
    """And never element 0 for want of an index."""
    assert run(workdir, {**inputs, "factor": literal(1.0)}, **environ).code == code
    assert problem in workdir.error()["message"]


def test_siblings_elements_are_not_even_decoded(workdir: Workdir) -> None:
    """One that is broken in itself does not matter to the others."""
    good = encode("Literal", literal(20))
    items = [b"\x0a\x05bad", good]
    collection = b"".join(b"\x0a" + bytes([len(item)]) + item for item in items)
    value = b"\x12" + bytes([len(collection)]) + collection
    entry = b"\x0a\x01x\x12" + bytes([len(value)]) + value
    data = b"\x0a" + bytes([len(entry)]) + entry
    data += encode("LiteralMap", {"literals": {"factor": literal(2.0)}})
    run(workdir, {})
    (workdir.path / "inputs.pb").write_bytes(data)
    words = ("vars", "factor", "resolver", "module", "task-module", "tasks", "task-name", "scaled")
    where = ("--inputs", "inputs.pb", "--output-prefix", "out", "--")
    assert workdir.run("map-execute", *where, *words, environ=INDEX).code == 0
    assert workdir.outputs() == {"literals": {"o0": literal(40.0)}}


def test_json_inputs_are_mapped_too(workdir: Workdir) -> None:
    """By the same rules."""
    workdir.module("tasks", CODE)
    (workdir.path / "in.json").write_text(json.dumps({"x": [1, 2], "factor": 4}))
    words = ("vars", "factor", "resolver", "module", "task-module", "tasks", "task-name", "scaled")
    where = ("--inputs", "in.json", "--output-prefix", "out", "--")
    assert workdir.run("map-execute", *where, *words, environ=INDEX).code == 0
    assert json.loads((workdir.prefix / "outputs.json").read_text()) == {"o0": 8.0}


def test_another_map_resolver_is_refused_by_name(workdir: Workdir) -> None:
    """Its arguments may mean something else."""
    workdir.inputs({})
    where = ("--inputs", "inputs.pb", "--output-prefix", "out", "--resolver", "my.Resolver", "--")
    assert workdir.run("map-execute", *where, "x", environ=INDEX).code == 16
    assert "not my.Resolver" in workdir.error()["message"]


def test_the_task_knows_its_index_and_older_map_tasks_their_directory(workdir: Workdir) -> None:
    """`map_index`, and OUTPUT_PREFIX/INDEX."""
    code = "import sys\nsys.path.append({!r})\nimport imagekit\ndef where(x: int) -> int:\n"
    body = "    return imagekit.current_context().map_index\n"
    workdir.module("tasks", code.format(str(ROOT)) + body)
    message = {"literals": {"x": many(1, 2, 3)}}
    (workdir.path / "inputs.pb").write_bytes(encode("LiteralMap", message))
    words = ("vars", "", "resolver", "module", "task-module", "tasks", "task-name", "where")
    where = ("--inputs", "inputs.pb", "--output-prefix", "out", "--resolver", LEGACY_MAP_RESOLVER)
    assert workdir.run("pyflyte-map-execute", *where, "--", *words, environ=INDEX).code == 0
    data = (workdir.prefix / "1" / "outputs.pb").read_bytes()
    assert decode("LiteralMap", data) == {"literals": {"o0": literal(1)}}


@pytest.mark.parametrize("words", [["vars", "a"], ["x", "", "resolver", "module", "t"]])
def test_wrong_resolver_arguments_are_a_resolver_error(workdir: Workdir, words: list[str]) -> None:
    """They say what was expected."""
    workdir.inputs({})
    where = ("--inputs", "inputs.pb", "--output-prefix", "out", "--")
    assert workdir.run("map-execute", *where, *words, environ=INDEX).code == 15
    assert "expected `vars a,b resolver" in workdir.error()["message"]


def test_stepping_over_gives_what_decoding_gives() -> None:
    """For every literal and element of a map."""
    message = {"a": many(1, "two", many(3)), "b": literal(5), "": {"collection": {}}}
    found = entries(encode("LiteralMap", {"literals": message}))
    assert {name: decode("Literal", data) for name, data in found.items()} == message
    each = elements(found["a"])
    assert each is not None
    assert [decode("Literal", item) for item in each] == message["a"]["collection"]["literals"]
    assert elements(found["b"]) is None
    assert elements(found[""]) is not None
