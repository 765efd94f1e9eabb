# SPDX-License-Identifier: Apache-2.0
"""Run by the interpreter that has flytekit: tasks of every form, and the args it registers them by.

Writes, for each: `NAME.json` (the container's args, templates unfilled), `NAME.pb` (its inputs),
and beside them the code bundle, the notebook's pickle and the task's template.
"""

import dataclasses
import functools
import gzip
import json
import sys
import tarfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

flytekit: Any = import_module("flytekit")
import_module("flytekit.types.directory")
import_module("flytekit.types.file")
pandas: Any = import_module("pandas")
customized = import_module("flytekit.core.python_customized_container_task")
shim = import_module("flytekit.core.shim_task")
storage = import_module("flytekit.core.class_based_resolver")


def twice(x: int) -> int:
    return 2 * x


def scaled(x: int, factor: float) -> float:
    return x * factor


def nothing() -> None:
    return None


def broken(x: int) -> int:
    if x:
        raise ValueError(f"no {x}")
    return x


def wrong(x: int) -> int:
    return "text"  # type: ignore[return-value]


def grows(n: int) -> list[int]:
    return [twice(x=i) for i in range(n)]


def stays(n: int) -> int:
    return n


def shown(x: int) -> int:
    return x


@dataclasses.dataclass
class Point:
    x: int
    file: flytekit.types.file.FlyteFile
    tags: list[str]


def framed(x: int) -> pandas.DataFrame:
    return pandas.DataFrame({"n": range(x), "word": ["é"] * x})


def summed(frame: pandas.DataFrame) -> int:
    return int(frame["n"].sum())


def filed(file: flytekit.types.file.FlyteFile) -> flytekit.types.file.FlyteFile:
    Path("upper.txt").write_text(Path(file).read_text().upper())
    return flytekit.types.file.FlyteFile("upper.txt")


def foldered(x: int) -> flytekit.types.directory.FlyteDirectory:
    Path("folder/inner").mkdir(parents=True, exist_ok=True)
    Path("folder/inner/number.txt").write_text(str(x))
    return flytekit.types.directory.FlyteDirectory("folder")


def recorded(point: Point) -> Point:
    return Point(point.x + 1, point.file, [*point.tags, Path(point.file).read_text()])


FORMS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("twice", "scaled", "nothing", "broken", "wrong"), flytekit.task),
    **dict.fromkeys(("framed", "summed", "filed", "foldered", "recorded"), flytekit.task),
    **dict.fromkeys(("grows", "stays"), flytekit.dynamic),
    "shown": flytekit.task(enable_deck=True),
}
for each, form in FORMS.items():
    globals()[each] = form(globals()[each])


class Executor(shim.ShimTaskExecutor):  # type: ignore[misc,name-defined]
    def execute_from_model(self, tt: Any, **inputs: Any) -> Any:
        if inputs["x"] < 0:
            raise ValueError("negative")
        return f"{tt.custom['word']}{inputs['x']}"


class Shim(customized.PythonCustomizedContainerTask):  # type: ignore[misc,name-defined]
    def get_custom(self, settings: Any) -> dict[str, Any]:
        return {"word": "é", "n": 3}


shimmed = Shim(
    name="shimmed",
    task_config=None,
    container_image="image",
    executor_type=Executor,
    interface=import_module("flytekit.core.interface").Interface({"x": int}, {"o0": str}),
)
mapped = flytekit.map_task(functools.partial(scaled, factor=0.5))
stored = storage.ClassStorageTaskResolver()
stored.add(twice)

INPUTS: dict[str, tuple[Any, dict[str, tuple[Any, Any]]]] = {
    "twice": (twice, {"x": (int, 21)}),
    "nothing": (nothing, {}),
    "broken": (broken, {"x": (int, 1)}),
    "wrong": (wrong, {"x": (int, 1)}),
    "grows": (grows, {"n": (int, 3)}),
    "stays": (stays, {"n": (int, 3)}),
    "shown": (shown, {"x": (int, 3)}),
    "mapped": (mapped, {"x": (list[int], [1, 2, 3]), "factor": (float, 0.5)}),
    "shimmed": (shimmed, {"x": (int, 5)}),
    "framed": (framed, {"x": (int, 4)}),
    "summed": (summed, {"frame": (pandas.DataFrame, pandas.DataFrame({"n": [1, 2, 3]}))}),
    "filed": (filed, {"file": (flytekit.types.file.FlyteFile, "word.txt")}),
    "foldered": (foldered, {"x": (int, 5)}),
    "recorded": (recorded, {"point": (Point, Point(1, "word.txt", ["a"]))}),
}


def settings(**more: Any) -> Any:
    configuration = import_module("flytekit.configuration")
    image = configuration.ImageConfig.auto(img_name="image:1")
    return configuration.SerializationSettings(
        project="p", domain="d", version="v", env={}, image_config=image, **more
    )


def fast() -> Any:
    configuration = import_module("flytekit.configuration")
    return settings(
        fast_serialization_settings=configuration.FastSerializationSettings(
            enabled=True, destination_dir=None, distribution_location=None
        )
    )


def main(folder: Path) -> None:
    engine = import_module("flytekit.core.type_engine").TypeEngine
    literals = import_module("flytekit.models.literals")
    context = flytekit.FlyteContextManager.current_context()
    Path("word.txt").write_text("word")
    for name, (each, values) in INPUTS.items():
        (folder / f"{name}.json").write_text(json.dumps(each.get_container(settings()).args))
        given = {
            key: engine.to_literal(context, value, hint, engine.to_literal_type(hint))
            for key, (hint, value) in values.items()
        }
        data = literals.LiteralMap(given).to_flyte_idl().SerializeToString()
        (folder / f"{name}.pb").write_bytes(data)
    translator = import_module("flytekit.tools.translator")
    registered = translator.get_serializable({}, fast(), twice).template.container
    (folder / "fast.json").write_text(json.dumps(registered.args))
    with tarfile.open(folder / "code.tar.gz", "w:gz") as archive:
        archive.add(__file__, "forms.py")
    template = shimmed.serialize_to_model(settings())
    (folder / "template.pb").write_bytes(template.to_flyte_idl().SerializeToString())
    picklers = import_module("flytekit.extras.cloud_pickle_resolver")
    for name, resolver in (
        ("stored", stored),
        ("argument", picklers.experimental_cloud_pickle_resolver),
    ):
        words = json.loads((folder / "twice.json").read_text())
        at = words.index("--resolver")
        words[at + 1 :] = [resolver.location, "--", *resolver.loader_args(settings(), twice)]
        (folder / f"{name}.json").write_text(json.dumps(words))
    pickle_notebook(folder)


def pickle_notebook(folder: Path) -> None:
    """What a notebook registers: functions without a module, in a pickle."""
    container = import_module("flytekit.core.python_auto_container")
    cloudpickle = import_module("cloudpickle")
    source = folder / "notebook_cells.py"
    source.write_text("def cell(x: int) -> int:\n    return x + 100\n")
    cells = import_module("notebook_cells")
    cloudpickle.register_pickle_by_value(cells)
    notebook = container.default_notebook_task_resolver
    cell = flytekit.task(cells.cell, task_resolver=notebook)
    (folder / "notebook.json").write_text(json.dumps(cell.get_container(fast()).args))
    version = ".".join(map(str, sys.version_info[:3]))
    entity = container.PickledEntity(
        metadata=container.PickledEntityMetadata(python_version=version),
        entities={cell.name: cell},
    )
    with gzip.open(folder / "pkl.gz", "wb") as file:
        cloudpickle.dump(entity, file)
    source.unlink()


if __name__ == "__main__":
    # The tasks' module is `forms`, as it is when they are run.
    import_module("forms").main(Path(sys.argv[1]))
