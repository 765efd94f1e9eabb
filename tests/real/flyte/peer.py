# SPDX-License-Identifier: Apache-2.0
"""Run by the interpreter that has flytekit: writes each task's inputs.pb as flytekit makes it."""

import sys
from datetime import date, datetime, timedelta, timezone
from importlib import import_module
from pathlib import Path
from typing import Any

flytekit = import_module("flytekit")
shared: Any = import_module("shared")
TypeEngine = import_module("flytekit.core.type_engine").TypeEngine
LiteralMap = import_module("flytekit.models.literals").LiteralMap

UTC = timezone.utc
INNER = shared.Inner(datetime(2024, 2, 29, 1, 2, 3, 400, tzinfo=UTC), timedelta(seconds=1.5), "n")
OUTER = shared.Outer(0.25, INNER, [INNER, INNER], {"b": 1, "a": 2**50}, {3: 1.5})
INPUTS: dict[str, dict[str, Any]] = {
    "integers": {"x": -(2**62), "y": [1, 2, 3]},
    "several": {"x": 7, "y": "é"},
    "booleans": {"x": False, "y": True},
    "moments": {
        "x": datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        "y": timedelta(days=-3, microseconds=7),
    },
    "maps": {"x": {"b": [1.5, float("inf")], "a": []}},
    "untyped": {"x": {"k": [1, {"z": None}], "n": 1.0}},
    "records": {"x": OUTER, "y": OUTER},
    "optional_record": {"x": 3},
    "choices": {"x": "x", "y": ["a"], "z": shared.Color.BLUE, "w": "b"},
    "days": {
        "x": date(2024, 2, 29),
        "y": shared.Choices(shared.Color.RED, date(2024, 1, 1), "3", b"\xff"),
    },
    "raw": {"x": b"\x00\xff"},
    "iterated": {"x": iter([1, 2, 3])},
    "paths": {"x": __file__},
    "fails": {"x": 1},
}
TASKS = {name: flytekit.task(getattr(shared, name)) for name in INPUTS}
globals().update(TASKS)

if __name__ == "__main__":
    context = flytekit.FlyteContextManager.current_context()
    for name, values in INPUTS.items():
        hints = TASKS[name].python_interface.inputs
        literals = {
            key: TypeEngine.to_literal(
                context, value, hints[key], TypeEngine.to_literal_type(hints[key])
            )
            for key, value in values.items()
        }
        data = LiteralMap(literals).to_flyte_idl().SerializeToString()
        Path(sys.argv[1], f"{name}.pb").write_bytes(data)
