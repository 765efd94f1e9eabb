# SPDX-License-Identifier: Apache-2.0
"""Pickled tasks and tasks that are all in their template."""

from __future__ import annotations

import base64
import gzip
import hashlib
import pickle
import sys
from dataclasses import dataclass, field
from typing import Any

import pytest

from entrypoint.errors import USER
from entrypoint.wire.protobuf import encode
from tests.unit.entrypoint.workdir import Result, Workdir, literal

NOTEBOOK = "flytekit.core.python_auto_container.default_notebook_task_resolver"
PICKLED = "flytekit.extras.cloud_pickle_resolver.experimental_cloud_pickle_resolver"
TEMPLATE = "flytekit.core.python_customized_container_task.default_task_template_resolver"
# The reading half of the real package, which a pickle of importable names needs no more of.
CLOUDPICKLE = "from pickle import load, loads\n"
STAND_INS = """
class Entity:
    pass
class Bomb:
    def __reduce__(self):
        return open, ("ran", "x")
def double(x: int) -> int:
    return 2 * x
"""


@dataclass
class Pickles:
    """A workdir whose image has cloudpickle; what is pickled is made by `stand_ins`."""

    workdir: Workdir
    names: dict[str, Any] = field(default_factory=dict)

    def dumps(self, version: str, entities: Any) -> bytes:
        module = type(sys)("stand_ins")
        exec(STAND_INS, module.__dict__)
        sys.modules["stand_ins"] = module
        try:
            entity = module.Entity()
            entity.metadata = module.Entity()
            entity.metadata.python_version = version
            entity.entities = {
                name: getattr(module, kind)() if kind == "Bomb" else getattr(module, kind)
                for name, kind in entities.items()
            }
            return pickle.dumps(entity)
        finally:
            del sys.modules["stand_ins"]

    def run(self, resolver: str, *words: str, **environ: str) -> Result:
        self.workdir.inputs({"x": 4})
        where = ("--inputs", "inputs.pb", "--output-prefix", "out", "--resolver", resolver)
        return self.workdir.run("execute", *where, "--", *words, environ=environ)


@pytest.fixture
def pickles(workdir: Workdir) -> Pickles:
    workdir.module("stand_ins", STAND_INS)
    workdir.module("cloudpickle", CLOUDPICKLE)
    return Pickles(workdir)


HERE = ".".join(map(str, sys.version_info[:3]))


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_a_notebooks_task_is_run(pickles: Pickles) -> None:
    """From pkl.gz in the working directory, or where the bundle put it."""
    data = gzip.compress(pickles.dumps(HERE, {"cell": "double"}))
    (pickles.workdir.path / "pkl.gz").write_bytes(data)
    assert pickles.run(NOTEBOOK, "entity-name", "cell").code == 0
    assert pickles.workdir.outputs() == {"literals": {"o0": literal(8)}}
    (pickles.workdir.path / "pkl.gz").rename(pickles.workdir.path / "fast-pkl.gz")
    pickles.workdir.inputs({"x": 5})
    words = [
        *("fast-execute", "--additional-distribution", "fast-pkl.gz", "--dest-dir", "code"),
        *("--bundle-digest", digest_of(data), "--", "execute", "--inputs", "inputs.pb"),
        *("--output-prefix", "out", "--resolver", "notebook", "--", "entity-name", "cell"),
    ]
    result = pickles.workdir.run(*words, environ={"IMAGEKIT_REQUIRE_DIGEST": "1"})
    assert result.code == 0, result.stderr
    assert pickles.workdir.outputs() == {"literals": {"o0": literal(10)}}


@pytest.mark.parametrize(
    ("version", "content", "problem"),
    [
        ("2.7.18", None, "made by Python 2.7.18; this image has 3."),
        (HERE, b"no gzip", "pkl.gz is not gzip"),
        (HERE, gzip.compress(b"no pickle", mtime=0), "unpickling pkl.gz"),
        (HERE, gzip.compress(pickle.dumps([1]), mtime=0), "holds a list, no pickled entities"),
    ],
)
def test_a_wrong_notebook_is_a_resolver_error(
    pickles: Pickles, version: str, content: bytes | None, problem: str
) -> None:
    """That says what was wrong with it."""
    data = gzip.compress(pickles.dumps(version, {"cell": "double"}))
    (pickles.workdir.path / "pkl.gz").write_bytes(data if content is None else content)
    assert pickles.run(NOTEBOOK, "entity-name", "cell").code == 15
    assert problem in pickles.workdir.error()["message"]


def test_an_absent_notebook_task_is_named(pickles: Pickles) -> None:
    """And so is an absent pickle, which another try may find."""
    assert pickles.run(NOTEBOOK, "entity-name", "cell").code == 12
    data = gzip.compress(pickles.dumps(HERE, {"cell": "double"}))
    (pickles.workdir.path / "pkl.gz").write_bytes(data)
    assert pickles.run(NOTEBOOK, "entity-name", "sell").code == 15
    assert "did you mean cell?" in pickles.workdir.error()["message"]


@pytest.mark.parametrize("environ", [{"IMAGEKIT_PICKLE_DIGEST": f"sha256:{'0' * 64}"}, {}])
def test_a_pickle_is_not_opened_before_its_digest_is_known(
    pickles: Pickles, environ: dict[str, str]
) -> None:
    """A wrong digest, and under IMAGEKIT_REQUIRE_DIGEST a missing one, keep it from running."""
    data = pickles.dumps(HERE, {"bomb": "Bomb"})
    (pickles.workdir.path / "pkl.gz").write_bytes(gzip.compress(data))
    argument = base64.b64encode(data).decode()
    demand = {"IMAGEKIT_REQUIRE_DIGEST": "1", **environ}
    for resolver, words in ((NOTEBOOK, ("entity-name", "bomb")), (PICKLED, (argument,))):
        assert pickles.run(resolver, *words, **demand).code == 17
        assert pickles.workdir.error()["code"] == "USER:Bundle"
        assert not (pickles.workdir.path / "ran").exists()
    pickles.run(PICKLED, argument)
    assert (pickles.workdir.path / "ran").exists()


def test_a_pickled_argument_is_run(pickles: Pickles) -> None:
    """With its digest, where one is demanded."""
    data = b"cstand_ins\ndouble\n."
    argument = base64.b64encode(data).decode()
    environ = {"IMAGEKIT_REQUIRE_DIGEST": "1", "IMAGEKIT_PICKLE_DIGEST": digest_of(data)}
    assert pickles.run(PICKLED, argument, **environ).code == 0
    assert pickles.workdir.outputs() == {"literals": {"o0": literal(8)}}
    assert pickles.run(PICKLED, "$$$").code == 15


def test_without_cloudpickle_it_is_said_so(pickles: Pickles) -> None:
    """Nothing else of ours needs it."""
    (pickles.workdir.path / "cloudpickle.py").unlink()
    assert pickles.run(PICKLED, base64.b64encode(b"cstand_ins\ndouble\n.").decode()).code == 15
    assert "needs cloudpickle, which this image" in pickles.workdir.error()["message"]


def test_a_flytekit_task_without_flytekit_is_a_resolver_error(workdir: Workdir) -> None:
    """Not a defect of ours, and nothing to try again."""
    workdir.module("tasks", "class Task:\n    dispatch_execute = None\ntask = Task()\n")
    workdir.module("flytekit", "raise ImportError('broken')\n")
    workdir.inputs({})
    assert workdir.execute("tasks:task").code == 15
    assert "needs it in the image: broken" in workdir.error()["message"]
    assert workdir.run("call", "tasks:task").code == 2


EXECUTORS = """
from typing import NamedTuple

class Both(NamedTuple):
    o10: str
    o9: float

class Executor:
    def execute_from_model(self, template, x):
        if x < 0:
            raise ValueError("negative")
        if x == 0:
            return "wrong", 1.0
        if x == 1:
            return {"o10": template.custom["word"], "o9": template.custom["n"]}
        return Both(template.name, float(x)) if x == 2 else (float(x), template.type)

class NoExecutor:
    pass
"""


def run_template(workdir: Workdir, x: int, executor: str = "executors.Executor") -> Result:
    variables = {
        "inputs": {"variables": {"x": {"type": {"simple": 1}}}},
        "outputs": {"variables": {"o10": {"type": {"simple": 3}}, "o9": {"type": {"simple": 2}}}},
    }
    custom = {"word": {"string_value": "é"}, "n": {"number_value": 3.0}}
    message = {
        "id": {"name": "shimmed"},
        "type": "kind",
        "interface": variables,
        "custom": {"fields": custom},
    }
    (workdir.path / "template.pb").write_bytes(encode("TaskTemplate", message))
    workdir.module("executors", EXECUTORS)
    workdir.inputs({"x": x})
    where = ("--inputs", "inputs.pb", "--output-prefix", "out", "--resolver", TEMPLATE)
    return workdir.run("execute", *where, "--", "template.pb", executor)


@pytest.mark.parametrize(("x", "o9", "o10"), [(1, 3.0, "é"), (2, 2.0, "shimmed"), (3, 3.0, "kind")])
def test_a_template_is_run_by_its_executor(workdir: Workdir, x: int, o9: float, o10: str) -> None:
    """Outputs by name, or in the order of their names, typed as the template says."""
    result = run_template(workdir, x)
    assert result.code == 0, result.stderr
    assert workdir.outputs() == {"literals": {"o9": literal(o9), "o10": literal(o10)}}


@pytest.mark.parametrize(
    ("x", "code", "message"),
    [(-1, "USER:RuntimeError", "ValueError: negative"), (0, "USER:WrongType", "outputs.o9")],
)
def test_an_executors_errors_are_the_users(
    workdir: Workdir, x: int, code: str, message: str
) -> None:
    """Not the system's: they are not tried again for ever."""
    assert run_template(workdir, x).code == 10
    error = workdir.error()
    assert (error["code"], error.get("kind", 0), error["origin"]) == (code, 0, USER)
    assert message in error["message"]


def test_what_is_no_executor_or_no_template_is_refused(workdir: Workdir) -> None:
    """By name."""
    assert run_template(workdir, 1, "executors.NoExecutor").code == 15
    assert "has no execute_from_model" in workdir.error()["message"]
    assert run_template(workdir, 1, "executors.Absent").code == 15
    where = ("--inputs", "inputs.pb", "--output-prefix", "out", "--resolver", "template")
    words = ("execute", *where, "--", "absent.pb", "executors.Executor")
    assert workdir.run(*words).code == 12
    (workdir.path / "absent.pb").write_bytes(b"\x0a\xff")
    assert workdir.run(*words).code == 13
