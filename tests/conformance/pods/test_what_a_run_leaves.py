# SPDX-License-Identifier: Apache-2.0
"""What `imagekit pod run` promises beside the kubelet's rules: logs, and a clean machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from imagekit.pods.sandbox import HOME_LABEL, home_of
from tests.conformance.pods.harness import Engine, pod, wait_for_line

LINES = 20_000
LIVES = "trap 'exit 0' TERM; echo lives; while :; do sleep 0.1; done"


@pytest.fixture
def alone(engine: Engine, tmp_path: Path) -> Engine:
    """The engine for a home of its own, of which no other test's pod is."""
    return replace(engine, cache=tmp_path / "cache")


def left_over(engine: Engine) -> list[str]:
    """Everything on the engine that belongs to a run of this test session."""
    home = home_of(engine.cache / "imagekit" / "pods")
    found = []
    for listing in (["ps", "--all"], ["volume", "ls"], ["network", "ls"]):
        command = [engine.name, *listing, "--quiet", "--filter", f"label={HOME_LABEL}={home}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found += done.stdout.split()
    return found


def test_no_line_is_lost_and_none_is_cut(engine: Engine) -> None:
    """Many lines of two containers come whole and in order, also a last one without its end."""
    text = f"i=0; while [ $i -lt {LINES} ]; do echo line $i of {{0}}; i=$((i+1)); done; printf end"
    names = ("one", "two")
    outcome = engine.run(
        pod("talks", containers=[engine.container(name, text.format(name)) for name in names])
    )
    for name in names:
        expected = [f"line {number} of {name}" for number in range(LINES)]
        assert outcome.lines(name) == [*expected, "end"]


def test_text_goes_to_stdout_without_colours_where_there_is_no_terminal(engine: Engine) -> None:
    """Without --output json stdout has the containers' lines, and stderr ours."""
    document = pod("plain", containers=[engine.container("main", "echo out; echo err >&2")])
    process = engine.start(document, words=[])
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert sorted(out.splitlines()) == ["main | err", "main | out"]
    assert errors.splitlines()[-1] == "pod: Succeeded"
    assert "\x1b" not in out + errors


def test_nothing_is_left_behind(alone: Engine) -> None:
    """After an ordinary end no container, volume or network of the run exists."""
    document = pod("tidy", volumes=[{"name": "v", "emptyDir": {}}], containers=[
        alone.container("main", "true", volumeMounts=[{"name": "v", "mountPath": "/v"}])
    ])  # fmt: skip
    assert alone.run(document).phase == "Succeeded"
    assert left_over(alone) == []


def test_the_next_run_removes_what_a_killed_one_left(alone: Engine) -> None:
    """SIGKILL leaves the pod running; the next run removes it, and no run that lives."""
    process = alone.start(
        pod("killed", containers=[alone.container("main", "echo runs; sleep 600")]), words=[]
    )
    living = alone.start(pod("living", containers=[alone.container("main", LIVES)]), words=[])
    for each, line in ((process, "runs"), (living, "lives")):
        assert each.stdout is not None
        assert each.stdout.readline() == f"main | {line}\n"
    process.kill()
    process.communicate(timeout=60)
    outcome = alone.run(pod("next", containers=[alone.container("main", "true")]))
    assert outcome.phase == "Succeeded"
    assert "pod: removing what 1 killed runs left" in outcome.notes
    assert len(left_over(alone)) == 4  # main, pause, messages and the network
    living.send_signal(signal.SIGTERM)
    living.communicate(timeout=60)
    assert left_over(alone) == []


def test_a_second_signal_ends_the_pod_at_once(engine: Engine) -> None:
    """Whoever asks twice does not wait for the grace."""
    document = pod(
        "stubborn",
        terminationGracePeriodSeconds=600,
        containers=[
            engine.container(
                "main", "trap 'echo heard' TERM; echo runs; while :; do sleep 0.1; done"
            )
        ],
    )
    process = engine.start(document, words=["--output", "json"])
    wait_for_line(process, "runs")
    process.send_signal(signal.SIGINT)
    wait_for_line(process, "heard")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert '"exitCode": 137' in out


def test_no_secret_is_an_argument(engine: Engine, tmp_path: Path) -> None:
    """Values of variables reach the engine's program by its environment, which is not for all."""
    real, log = shutil.which(engine.name), tmp_path / "arguments"
    spy = tmp_path / engine.name
    spy.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {log}\nexec {real} "$@"\n')
    spy.chmod(0o755)
    secret = {"kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "hush\nhush"}}
    variable = {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    document = pod("quiet", containers=[engine.container("main", 'echo "$KEY"', env=[variable])])
    process = engine.start(document, secret, words=[], path=f"{tmp_path}:{os.environ['PATH']}")
    out, _ = process.communicate(timeout=60)
    assert out == "main | hush\nmain | hush\n"
    assert "KEY" in log.read_text().splitlines()
    assert "hush\n" not in log.read_text()
