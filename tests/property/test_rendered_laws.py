# SPDX-License-Identifier: Apache-2.0
"""Whatever a spec's values hold, a Dockerfile and a build.envd say them and nothing else.

They are read back by readers of their own: Dockerfiles by the documented rules of words, build.envd
as what it is, literals and calls.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.errors import BuildError
from imagekit.lock.model import Lock, Target
from imagekit.planning.dockerfile import Dockerfile, render_dockerfile
from imagekit.planning.envd import Copied, render_envd
from imagekit.planning.planner import Files, Plan, make_plan
from imagekit.spec.model import ImageSpec

PYTHON = "/usr/bin/python3.11"
TARGET = Target("linux/amd64", "3.11", PYTHON, "2.36")
LOCK = Lock("", TARGET, {"kind": "debian"}, (), None, "")
VALUE = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12) | (
    st.text("\"'\\\\$`{}#<>&|; \n\r\tx=[],", max_size=12)
)
LINE = VALUE.map(lambda text: re.sub(r"[\x00-\x08\x0a-\x1f\x7f]", "", text))
NAMES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,4}", fullmatch=True)
KEYS = st.from_regex(r"[a-z][a-z0-9._/-]{0,4}[a-z]", fullmatch=True)
SPECS = st.builds(
    ImageSpec,
    name=st.just("x"),
    env=st.dictionaries(NAMES, VALUE, max_size=4),
    labels=st.dictionaries(KEYS, VALUE, max_size=3),
    entrypoint=st.lists(VALUE, min_size=1, max_size=3),
    commands=st.lists(VALUE.filter(str.strip), max_size=3),
    workdir=LINE.map("/{}".format).filter(lambda text: ".." not in text.split("/")),
    object_storage=st.just(False),
)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is rendered is kept there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def plan_of(spec: ImageSpec, **secrets: str) -> Plan:
    files = Files(Path("/nonexistent"), secrets=tuple(secrets.items()))
    return make_plan(spec, files, LOCK, base_layers=1, made_by={})


def rendered(spec: ImageSpec) -> Dockerfile:
    return render_dockerfile(plan_of(spec), "base.example/image:1")


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Each by its name and the rest, with the lines that go on joined."""
    joined = ""
    for line in text.split("\n"):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        joined += line
        if joined.endswith("\\"):
            joined = joined[:-1]
            continue
        yield tuple(joined.split(" ", 1))  # type: ignore[misc]
        joined = ""
    assert joined == ""


def word(text: str, arguments: Mapping[str, str]) -> str:
    """What a word comes to: quotes taken away, escapes undone, variables put in."""
    made, place, quoted = "", 0, False
    while place < len(text):
        letter = text[place]
        place += 1
        if letter == '"':
            quoted = not quoted
        elif letter == "\\" and quoted and text[place] in '"$\\':
            made += text[place]
            place += 1
        elif letter == "$":
            name = re.match(r"\{(\w+)\}", text[place:])
            assert name is not None
            made += arguments[name[1]]
            place += name.end()
        else:
            assert quoted or not letter.isspace()
            made += letter
    assert not quoted
    return made


@settings(deadline=None)
@given(SPECS)
def test_a_dockerfile_says_the_values_and_nothing_else(spec: ImageSpec) -> None:
    """The same instructions as without them, and each value as it was written."""
    found = rendered(spec)
    plain = ImageSpec(
        name="x",
        env=dict.fromkeys(spec.env, "v"),
        labels=dict.fromkeys(spec.labels, "v"),
        entrypoint=["e"],
        commands=["c"] if spec.commands else [],
        object_storage=False,
    )
    wanted = [name for name, _ in instructions(rendered(plain).text)]
    read = list(instructions(found.text))
    assert [name for name, _ in read if name != "ARG"] == [n for n in wanted if n != "ARG"]
    assert sorted(rest for name, rest in read if name == "ARG") == sorted(found.arguments)
    pairs = {"ENV": {}, "LABEL": {}}  # type: dict[str, dict[str, str]]
    for name, rest in read:
        if name in pairs:
            key, _, value = rest.partition("=")
            pairs[name][key] = word(value, found.arguments)
    configure = plan_of(spec).configuration
    assert configure.env.items() <= pairs["ENV"].items()
    assert pairs["LABEL"] == dict(configure.labels)
    last = dict(read)
    assert json.loads(last["ENTRYPOINT"]) == list(configure.entrypoint)
    assert word(last["WORKDIR"], {}) == configure.workdir
    runs = [json.loads(rest) for name, rest in read if name == "RUN"]
    scripts = [" && ".join(spec.commands), "\n(exit $?) || exit\n".join(spec.commands)]
    assert [words[:2] for words in runs] == [["/bin/sh", "-c"]] * bool(spec.commands)
    assert all(words[2] in scripts for words in runs)


@settings(deadline=None)
@given(SPECS)
def test_a_build_envd_says_the_values_and_nothing_else(spec: ImageSpec) -> None:
    """One function of calls whose arguments are literals."""
    pieces = [Copied("files", "layers/1", ("opt",))]
    text = render_envd(plan_of(spec), "base.example/image:1", pieces, has_bash=True)
    (function,) = ast.parse(text).body
    assert isinstance(function, ast.FunctionDef)
    calls = [each.value for each in function.body if isinstance(each, ast.Expr)]
    assert len(calls) == len(function.body)
    said: dict[str, ast.Call] = {ast.unparse(c.func): c for c in calls if isinstance(c, ast.Call)}
    names = {"base", "config.owner", "io.copy", "runtime.environ", "config.entrypoint"}
    assert set(said) - {"run"} == names
    configure = plan_of(spec).configuration
    assert ast.literal_eval(said["runtime.environ"].keywords[0].value) == dict(configure.env)
    assert ast.literal_eval(said["config.entrypoint"].args[0]) == list(configure.entrypoint)
    for each in calls:
        assert isinstance(each, ast.Call)
        for argument in (*each.args, *(keyword.value for keyword in each.keywords)):
            ast.literal_eval(argument)


@pytest.mark.parametrize("target", ["/a,source=/etc", '/a"b', "/$HOME", "/a\nb", "/a\\", "/'"])
def test_a_place_of_a_secret_that_a_mount_can_not_say_is_refused(target: str) -> None:
    """Others, with blanks and letters of any kind, are not."""
    spec = ImageSpec(name="x", commands=["true"], object_storage=False)
    with pytest.raises(BuildError, match="can't hold the place of a secret"):
        render_dockerfile(plan_of(spec, file=target), "base.example/image:1")
    text = render_dockerfile(plan_of(spec, file="/a b/é=1"), "base.example/image:1").text
    assert 'target="/a b/é=1"' in text
