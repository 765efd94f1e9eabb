# SPDX-License-Identifier: Apache-2.0
"""Startup, liveness and readiness probes."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any

from tests.conformance.pods.harness import Engine, Outcome, behaviour, pod, scenario

PROBES = "tasks/configure-pod-container/configure-liveness-readiness-startup-probes/"
LIFECYCLE = "concepts/workloads/pods/pod-lifecycle/"
SERVE = "mkdir -p /tmp/www/sub; echo up > /tmp/www/index.html; httpd -f -p {} -h /tmp/www"
QUICK = {"periodSeconds": 1, "failureThreshold": 30}


@scenario
def served(engine: Engine) -> Outcome:
    """Servers that are asked in every way, each before the next one starts."""
    redirect = (
        "mkdir -p /tmp/www/sub; echo up > /tmp/www/sub/index.html; httpd -f -p 8082 -h /tmp/www"
    )
    header = (
        r"while :; do printf 'HTTP/1.0 204 None\r\n\r\n' | nc -l -p 8083 | grep -i '^x-asked'; done"
    )
    named: dict[str, Any] = {"ports": [{"name": "web", "containerPort": 8080}]}
    asked = {"httpGet": {"port": 8083, "httpHeaders": [{"name": "X-Asked", "value": "by us"}]}}
    to_sub = {"httpGet": {"port": 8082, "path": "/sub"}}
    return engine.run(
        pod(
            "served",
            terminationGracePeriodSeconds=0,
            initContainers=[
                engine.sidecar(
                    "named",
                    "sleep 0.5; " + SERVE.format(8080),
                    startupProbe={"httpGet": {"port": "web"}, **QUICK},
                    **named,
                ),
                engine.sidecar(
                    "tcp",
                    "sleep 0.5; " + SERVE.format(8081),
                    startupProbe={"tcpSocket": {"port": 8081}, **QUICK},
                ),
                engine.sidecar("redirect", redirect, startupProbe={**to_sub, **QUICK}),
                engine.sidecar("header", header, startupProbe={**asked, **QUICK}),
                engine.container("after", "echo after"),
            ],
            containers=[
                engine.container(
                    "task",
                    "wget -q -O - http://127.0.0.1:8080/; netstat -lnt | grep -c :808; echo ends",
                )
            ],
        )
    )


@behaviour(f"{PROBES}#define-a-liveness-http-request")
def test_an_http_probe_asks_a_port_by_number_or_name(engine: Engine) -> None:
    """httpGet passes with a status of at least 200 and below 400; a port may be named."""
    assert served(engine).container("named")["restartCount"] == 0
    assert served(engine).phase == "Succeeded"


@behaviour(f"{PROBES}#http-probes")
def test_an_http_probe_follows_redirects_and_sends_headers(engine: Engine) -> None:
    """Redirects on the same host are followed, and headers of the probe are sent."""
    outcome = served(engine)
    assert outcome.lines("after") == ["after"]
    assert "X-Asked: by us" in [line.strip() for line in outcome.lines("header")]


@behaviour(f"{PROBES}#define-a-tcp-liveness-probe")
def test_a_tcp_probe_passes_where_something_listens(engine: Engine) -> None:
    """tcpSocket fails as long as nothing listens, and passes when something does."""
    assert served(engine).order("after", "ends") == ["after", "ends"]


@behaviour("concepts/workloads/pods/#pod-networking")
def test_containers_share_one_network(engine: Engine) -> None:
    """Containers reach each other on 127.0.0.1, and see each other's ports."""
    assert served(engine).lines("task")[0] == "up"
    assert int(served(engine).lines("task")[1]) >= 3


NEVER: Mapping[str, Any] = {
    "exec": {"command": ["false"]},
    "periodSeconds": 1,
    "failureThreshold": 1,
}
SHARED: Mapping[str, Any] = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}


def restarted(engine: Engine) -> list[dict[str, Any]]:
    """Containers whose liveness probes fail the first time they run."""
    dies = (
        "test -f /shared/{0} && exit 0; touch /shared/{0};"
        " trap 'echo {0} stopped; exit 1' TERM; while :; do sleep 0.05; done"
    )
    unwell = {**NEVER, "terminationGracePeriodSeconds": 9}
    hangs = {**NEVER, "exec": {"command": ["sleep", "60"]}, "timeoutSeconds": 1}
    return [
        engine.container("unwell", dies.format("unwell"), livenessProbe=unwell, **SHARED),
        engine.container("hangs", dies.format("hangs"), livenessProbe=hangs, **SHARED),
    ]


def held_back(engine: Engine) -> list[dict[str, Any]]:
    """Containers whose liveness probes would fail if they were asked at once."""
    exists = {
        "exec": {"command": ["test", "-f", "/shared/up"]},
        "periodSeconds": 1,
        "timeoutSeconds": 10,
    }
    return [
        engine.container(
            "slow",
            "sleep 2; touch /shared/up; sleep 2",
            livenessProbe={**exists, "failureThreshold": 1},
            startupProbe={**exists, "failureThreshold": 20},
            **SHARED,
        ),
        engine.container("patient", "sleep 3", livenessProbe={**NEVER, "initialDelaySeconds": 60}),
    ]


def asked_when_ready(engine: Engine) -> list[dict[str, Any]]:
    """Containers with readiness probes: on the loopback, at no page, and twice."""
    local = (
        "httpd -p 127.0.0.1:8090 -h /; sleep 3;"
        " wget -q -O /dev/null http://127.0.0.1:8090/etc/passwd && echo local up"
    )
    soon = {"periodSeconds": 1, "failureThreshold": 2}
    on_loopback = {"httpGet": {"port": 8090, "path": "/etc/passwd"}, **soon}
    not_there = {"httpGet": {"port": 8091, "path": "/none"}, **soon}
    twice = {
        "exec": {"command": ["true"]},
        "periodSeconds": 1,
        "timeoutSeconds": 10,
        "successThreshold": 2,
    }
    return [
        engine.container("local", local, readinessProbe=on_loopback),
        engine.container("error", "httpd -p 8091 -h /; sleep 3", readinessProbe=not_there),
        engine.container("ready", "sleep 6", readinessProbe=twice),
    ]


@scenario
def probed(engine: Engine) -> Outcome:
    """Each container is probed in another way, all at the same time."""
    return engine.run(
        pod(
            "probed",
            restartPolicy="OnFailure",
            volumes=[{"name": "shared", "emptyDir": {}}],
            containers=[*restarted(engine), *held_back(engine), *asked_when_ready(engine)],
        )
    )


@behaviour(f"{PROBES}#define-a-liveness-command")
def test_a_failed_liveness_probe_restarts_the_container(engine: Engine) -> None:
    """A container whose liveness probe has failed often enough gets SIGTERM, and starts again as
    the restartPolicy says."""
    outcome = probed(engine)
    assert outcome.container("unwell")["restartCount"] == 1
    assert "unwell stopped" in outcome.lines("unwell")


@behaviour(f"{PROBES}#configure-probes")
def test_a_probe_that_takes_too_long_has_failed(engine: Engine) -> None:
    """An exec probe without an end within timeoutSeconds counts as failed."""
    assert probed(engine).container("hangs")["restartCount"] == 1


@behaviour(f"{LIFECYCLE}#types-of-probe")
def test_other_probes_wait_for_the_startup_probe(engine: Engine) -> None:
    """Liveness is not asked before the startup probe has passed."""
    assert probed(engine).container("slow")["restartCount"] == 0


@behaviour(f"{PROBES}#configure-probes")
def test_the_initial_delay_holds_a_probe_back(engine: Engine) -> None:
    """A probe is not asked before initialDelaySeconds are over."""
    assert probed(engine).container("patient")["restartCount"] == 0


@behaviour(f"{PROBES}#http-probes")
def test_probes_ask_the_pods_own_address(engine: Engine) -> None:
    """A server that listens on 127.0.0.1 alone is not ready, as probes come from outside."""
    outcome = probed(engine)
    assert outcome.lines("local") == ["local up"]
    assert any(note.startswith("pod: local: is not ready: ") for note in outcome.notes)


@behaviour(f"{LIFECYCLE}#probe-outcome")
def test_an_error_status_fails_a_probe(engine: Engine) -> None:
    """A status of 400 or above fails an HTTP probe; readiness restarts nothing."""
    outcome = probed(engine)
    assert "pod: error: is not ready: /none: HTTP status 404" in outcome.notes
    assert outcome.container("error")["restartCount"] == 0


@behaviour(f"{LIFECYCLE}#types-of-probe")
def test_readiness_needs_its_successes_in_a_row(engine: Engine) -> None:
    """A container is ready after successThreshold passes of its readiness probe."""
    assert "pod: ready: is ready" in probed(engine).notes


@scenario
def never_up(engine: Engine) -> Outcome:
    """Deleted once the server runs for the second time."""
    never = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    server = (
        "echo no such model; test -f /shared/first && echo again;"
        " touch /shared/first; exec sleep 60"
    )
    document = pod(
        "never-up",
        terminationGracePeriodSeconds=1,
        volumes=[{"name": "shared", "emptyDir": {}}],
        initContainers=[
            engine.sidecar(
                "server",
                server,
                startupProbe={**never, "terminationGracePeriodSeconds": 1},
                volumeMounts=[{"name": "shared", "mountPath": "/shared"}],
            )
        ],
        containers=[engine.container("task", "echo task")],
    )
    return engine.run_until("again", document, signal.SIGTERM)


@behaviour("KEP-753, and concepts/workloads/pods/sidecar-containers/")
def test_a_sidecar_that_never_starts_is_restarted_and_heard(engine: Engine) -> None:
    """A sidecar whose startup probe keeps failing is stopped and started again, and nothing after
    it starts; its last lines are shown."""
    outcome = never_up(engine)
    assert outcome.container("server")["restartCount"] >= 1
    assert "pod:   server said: no such model" in outcome.notes
    assert outcome.lines("task") == []
