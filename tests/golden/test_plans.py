# SPDX-License-Identifier: Apache-2.0
"""What is planned for a spec and a lock, step by step. To add a case: a folder in cases/."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

from imagekit.layers.tree import Node
from imagekit.lock import file as lock_file
from imagekit.lock.model import LockedWheel
from imagekit.planning.planner import Files, Plan, make_plan
from imagekit.planning.steps import Step
from imagekit.spec.load import load_spec
from tests.golden.compare import check_golden

CASES = Path(__file__).parent / "cases"
BASE_LAYERS = {"debian": 1, "oci": 5}


def plan_of(case: Path) -> Plan:
    spec = load_spec(case / "spec.yaml")
    (lock,) = lock_file.read(case / "lock.toml") or ()
    layers = BASE_LAYERS[lock.base["kind"]]
    return make_plan(spec, Files(case), lock, base_layers=layers, made_by={"builder": "golden"})


def rendered(plan: Plan) -> str:
    return "".join(f"{line}\n" for line in lines(plan))


def lines(plan: Plan) -> Iterator[str]:
    """One paragraph a step: its name, then its fields."""
    yield f"tag: {plan.tag}"
    for step in plan.steps:
        yield ""
        yield type(step).__name__
        for field in dataclasses.fields(step):
            yield from shown(field.name, getattr(step, field.name))


def shown(name: str, value: Any, indent: str = "  ") -> Iterator[str]:
    if isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
        yield f"{indent}{name}:"
        yield from (f"{indent}  {item(each)}" for each in value)
    elif isinstance(value, Mapping):
        yield f"{indent}{name}:"
        yield from (f"{indent}  {key}: {json.dumps(each)}" for key, each in value.items())
    elif dataclasses.is_dataclass(value):
        yield f"{indent}{name}:"
        for field in dataclasses.fields(value):
            yield from shown(field.name, getattr(value, field.name), indent + "  ")
    else:
        yield f"{indent}{name}: {json.dumps(value)}"


def item(value: Node | LockedWheel) -> str:
    if isinstance(value, LockedWheel):
        return f"{value.filename} {value.sha256}"
    kind = f"{value.kind}, executable" if value.executable else value.kind
    return f"{value.path} ({kind}) {value.target or value.sha256}".rstrip()


@pytest.mark.parametrize("case", sorted(CASES.iterdir()), ids=lambda case: case.name)
def test_a_plan_is_the_reviewed_one(case: Path) -> None:
    """Its steps in order, what each adds, and the tag."""
    check_golden(case / "plan.txt", rendered(plan_of(case)))


def test_every_kind_of_step_is_in_some_case() -> None:
    """A step that is new gets a case."""
    planned = {type(step) for case in CASES.iterdir() for step in plan_of(case).steps}
    assert planned == set(get_args(Step))
