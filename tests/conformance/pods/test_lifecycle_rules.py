# SPDX-License-Identifier: Apache-2.0
"""Order, restarts and ends of containers."""

from __future__ import annotations

import signal
from typing import Any

from tests.conformance.pods.harness import Engine, Outcome, behaviour, pod, scenario

LIFECYCLE = "concepts/workloads/pods/pod-lifecycle/"
INIT = "concepts/workloads/pods/init-containers/"
SIDECARS = "concepts/workloads/pods/sidecar-containers/"
WAIT_FOR_TERM = "trap 'echo {0} stops; exit {1}' TERM; echo {0} runs; while :; do sleep 0.05; done"


@scenario
def ordered(engine: Engine) -> Outcome:
    """Two init containers, two sidecars and two tasks."""
    shared = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}
    slow = "sleep 1; touch /shared/up; " + WAIT_FOR_TERM.format("slow", 7)
    asked = {"exec": {"command": ["test", "-f", "/shared/up"]}, "timeoutSeconds": 10}
    probe = {**asked, "periodSeconds": 1, "failureThreshold": 60}
    return engine.run(
        pod(
            "ordered",
            volumes=[{"name": "shared", "emptyDir": {}}],
            initContainers=[
                engine.container(
                    "first", "sleep 0.3; touch /shared/first; echo first ends", **shared
                ),
                engine.container("second", "cat /shared/first && echo second ends", **shared),
                engine.sidecar("slow", slow, startupProbe=probe, **shared),
                engine.container("third", "cat /shared/up && echo third ends", **shared),
                engine.sidecar("quick", WAIT_FOR_TERM.format("quick", 0), **shared),
                engine.container("server-up", "echo last init ends"),
            ],
            containers=[
                engine.container("task", "hostname; sleep 0.5; echo task ends"),
                engine.container("other", "echo other ends"),
            ],
        )
    )


@behaviour(f"{INIT}#understanding-init-containers")
def test_init_containers_run_one_after_another(engine: Engine) -> None:
    """Init containers run in their order, each to its end before the next one starts."""
    lines = ("first ends", "second ends", "third ends", "last init ends")
    assert ordered(engine).order(*lines) == list(lines)


@behaviour("KEP-753, and concepts/workloads/pods/sidecar-containers/")
def test_sidecars_keep_running_beside_the_task(engine: Engine) -> None:
    """An init container with restartPolicy Always keeps running while the next ones and the task
    run."""
    assert ordered(engine).order("quick runs", "task ends", "quick stops") == [
        *("quick runs", "task ends", "quick stops"),
    ]


@behaviour(f"{SIDECARS}#sidecar-containers-and-pod-lifecycle")
def test_a_startup_probe_holds_back_what_comes_after_a_sidecar(engine: Engine) -> None:
    """What stands after a sidecar starts when its startup probe has passed."""
    assert ordered(engine).order("slow runs", "third ends") == ["slow runs", "third ends"]


@behaviour(f"{SIDECARS}#sidecar-containers-and-pod-lifecycle")
def test_tasks_start_after_all_init_containers(engine: Engine) -> None:
    """The pod's containers start when every init container has ended, or started if a sidecar."""
    found = ordered(engine).order("last init ends", "other ends", "task ends")
    assert found[0] == "last init ends"
    assert sorted(found[1:]) == ["other ends", "task ends"]


@behaviour(f"{LIFECYCLE}#termination-with-sidecars")
def test_sidecars_are_stopped_in_reverse_order(engine: Engine) -> None:
    """When the tasks have ended, sidecars get SIGTERM one after another, the last one first."""
    found = ordered(engine).order("task ends", "quick stops", "slow stops")
    assert found == ["task ends", "quick stops", "slow stops"]


@behaviour(f"{SIDECARS}#jobs-with-sidecar-containers")
def test_sidecars_have_no_say_in_the_phase(engine: Engine) -> None:
    """A sidecar that ends with an error when it is stopped does not make the pod fail."""
    outcome = ordered(engine)
    assert outcome.ended("slow")["exitCode"] == 7
    assert (outcome.phase, outcome.code) == ("Succeeded", 0)


@behaviour("concepts/workloads/pods/pod-hostname/")
def test_the_host_name_is_the_pods(engine: Engine) -> None:
    """Containers see the pod's name as their host name."""
    assert ordered(engine).lines("task")[0] == "ordered"


@scenario
def gate_fails(engine: Engine) -> Outcome:
    return engine.run(
        pod(
            "gate-fails",
            initContainers=[
                engine.sidecar(
                    "server",
                    "trap 'exit 0' TERM; echo loading weights; sleep 100 & wait",
                    readinessProbe={"exec": {"command": ["false"]}},
                ),
                engine.container("gate", "sleep 0.3; echo too slow; exit 9"),
            ],
            containers=[engine.container("task", "echo task")],
        )
    )


@behaviour(f"{INIT}#detailed-behavior")
def test_a_failed_init_container_fails_the_pod(engine: Engine) -> None:
    """With restartPolicy Never a failed init container fails the pod, and no task starts."""
    outcome = gate_fails(engine)
    assert (outcome.phase, outcome.code) == ("Failed", 9)
    assert outcome.lines("task") == []
    assert "pod:   server said: loading weights" in outcome.notes


@scenario
def restarted(engine: Engine) -> Outcome:
    """Everything here fails once, and succeeds when it is started again."""
    shared: dict[str, Any] = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}
    text = "test -f /shared/{0} && exit 0; touch /shared/{0}; exit 4"
    mortal = (
        "echo server runs; test -f /shared/died || {{ sleep 0.5; touch /shared/died; exit 3; }}; {}"
    )
    wait = "while ! test -f /shared/died; do sleep 0.1; done; sleep 1; echo task ends"
    return engine.run(
        pod(
            "restarted",
            restartPolicy="OnFailure",
            volumes=[{"name": "shared", "emptyDir": {}}],
            initContainers=[
                engine.container("init", text.format("init"), **shared),
                engine.sidecar(
                    "server", mortal.format(WAIT_FOR_TERM.format("server", 0)), **shared
                ),
            ],
            containers=[
                engine.container("fails", text.format("main"), **shared),
                engine.container("waits", wait, **shared),
            ],
        )
    )


@behaviour(f"{INIT}#detailed-behavior")
def test_a_failed_init_container_is_started_again(engine: Engine) -> None:
    """With another restartPolicy a failed init container is started again until it succeeds."""
    assert restarted(engine).container("init")["restartCount"] == 1


@behaviour(f"{LIFECYCLE}#restart-policy")
def test_on_failure_starts_failed_containers_again(engine: Engine) -> None:
    """OnFailure starts a container again that failed, and none that succeeded."""
    outcome = restarted(engine)
    assert outcome.container("fails")["restartCount"] == 1
    assert outcome.container("waits")["restartCount"] == 0
    assert outcome.phase == "Succeeded"


@behaviour(f"{SIDECARS}#sidecar-containers-and-pod-lifecycle")
def test_a_sidecar_that_dies_is_started_again(engine: Engine) -> None:
    """A sidecar's own policy is Always, whatever the pod's is, and the task goes on."""
    outcome = restarted(engine)
    assert outcome.container("server")["restartCount"] == 1
    assert "pod: server: ended with exit code 3 (Error)" in outcome.notes


@scenario
def endless(engine: Engine) -> Outcome:
    return engine.run(
        pod(
            "endless",
            restartPolicy="Always",
            activeDeadlineSeconds=9,
            containers=[engine.container("main", "echo once more")],
        )
    )


@behaviour(f"{LIFECYCLE}#restart-policy")
def test_always_starts_a_container_again_that_succeeded(engine: Engine) -> None:
    """Always starts a container again that ended well: the first time at once."""
    assert endless(engine).container("main")["restartCount"] == 1


@behaviour(f"{LIFECYCLE}#container-restarts")
def test_restarts_are_delayed_by_ten_seconds(engine: Engine) -> None:
    """The second restart waits for ten seconds (CrashLoopBackOff)."""
    assert "pod: main: CrashLoopBackOff: starts again in 10 s" in endless(engine).notes


@behaviour("reference/kubernetes-api/workload-resources/pod-v1/#lifecycle")
def test_active_deadline_seconds_ends_the_pod(engine: Engine) -> None:
    """activeDeadlineSeconds counts from the pod's start, and fails it with DeadlineExceeded."""
    outcome = endless(engine)
    assert outcome.status["status"]["reason"] == "DeadlineExceeded"
    assert (outcome.phase, outcome.code != 0) == ("Failed", True)


@scenario
def failing(engine: Engine) -> Outcome:
    fallback = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    own_path = {"terminationMessagePath": "/tmp/message"}
    return engine.run(
        pod(
            "failing",
            containers=[
                engine.container("well", "sleep 0.2"),
                engine.container("ill", "echo why > /dev/termination-log; exit 42"),
                engine.container("log", "echo a; echo the last words; exit 1", **fallback),
                engine.container("other", "echo elsewhere > /tmp/message", **own_path),
            ],
        )
    )


@behaviour(f"{LIFECYCLE}#pod-phase")
def test_the_pod_fails_if_a_container_failed(engine: Engine) -> None:
    """When all containers have ended and one failed, the phase is Failed; ours is its code."""
    outcome = failing(engine)
    assert (outcome.phase, outcome.code) == ("Failed", 42)


@behaviour("tasks/debug/debug-application/determine-reason-pod-failure/")
def test_the_termination_message_is_read_from_its_file(engine: Engine) -> None:
    """What a container wrote to /dev/termination-log, or its own path, is its message."""
    outcome = failing(engine)
    assert outcome.ended("ill")["message"] == "why\n"
    assert outcome.ended("other")["message"] == "elsewhere\n"


@behaviour(
    "tasks/debug/debug-application/determine-reason-pod-failure/#customizing-the-termination-message"
)
def test_the_log_stands_in_for_a_missing_message(engine: Engine) -> None:
    """With FallbackToLogsOnError the end of the log is the message of a container that failed."""
    assert failing(engine).ended("log")["message"] == "a\nthe last words\n"


@scenario
def deleted(engine: Engine) -> Outcome:
    """Stopped by SIGTERM, as Ctrl-C would."""
    stubborn = "trap '' TERM; echo stubborn; while :; do sleep 0.05; done"
    hook = {"exec": {"command": ["sh", "-c", "echo hook > /proc/1/fd/1; sleep 0.3"]}}
    hooked = {"lifecycle": {"preStop": hook}}
    document = pod(
        "deleted",
        terminationGracePeriodSeconds=1,
        initContainers=[engine.sidecar("server", WAIT_FOR_TERM.format("server", 0), **hooked)],
        containers=[
            engine.container("stubborn", stubborn),
            engine.container("task", WAIT_FOR_TERM.format("task", 5), **hooked),
        ],
    )
    return engine.run_until("task runs", document, signal.SIGTERM)


@behaviour(f"{LIFECYCLE}#pod-termination")
def test_deletion_sends_the_stop_signal(engine: Engine) -> None:
    """A pod that is deleted gets SIGTERM, and its containers may end as they like."""
    outcome = deleted(engine)
    assert outcome.ended("task")["exitCode"] == 5
    assert outcome.status["status"]["reason"] == "Deleted"


@behaviour("concepts/containers/container-lifecycle-hooks/#container-hooks")
def test_the_pre_stop_hook_comes_before_the_signal(engine: Engine) -> None:
    """preStop runs to its end before the container gets SIGTERM."""
    assert deleted(engine).lines("task") == ["task runs", "hook", "task stops"]


@behaviour(f"{LIFECYCLE}#pod-termination-forced")
def test_whoever_stays_is_killed_after_the_grace(engine: Engine) -> None:
    """After the grace, and no sooner than two seconds after SIGTERM, comes SIGKILL."""
    assert deleted(engine).ended("stubborn")["exitCode"] == 137


@behaviour(f"{LIFECYCLE}#termination-with-sidecars")
def test_a_sidecar_waits_for_the_tasks_as_long_as_there_is_time(engine: Engine) -> None:
    """When the grace is used up by the tasks, sidecars still get SIGTERM and two seconds; their
    preStop hooks ran when the deletion began."""
    outcome = deleted(engine)
    assert outcome.lines("server") == ["server runs", "hook", "server stops"]
    assert outcome.ended("server")["exitCode"] == 0


@scenario
def hooked(engine: Engine) -> Outcome:
    hook = {"exec": {"command": ["sh", "-c", "sleep 0.5; echo hook ends > /proc/1/fd/1"]}}
    return engine.run(
        pod(
            "hooked",
            containers=[
                engine.container("one", "echo one; sleep 1.5", lifecycle={"postStart": hook}),
                engine.container("two", "echo two"),
            ],
        )
    )


@behaviour("concepts/containers/container-lifecycle-hooks/#container-hooks")
def test_a_post_start_hook_runs_beside_the_container(engine: Engine) -> None:
    """postStart runs in the started container, and the next container waits for it."""
    outcome = hooked(engine)
    assert outcome.order("hook ends", "two") == ["hook ends", "two"]
    assert outcome.phase == "Succeeded"


@scenario
def hook_fails(engine: Engine) -> Outcome:
    hook = {"exec": {"command": ["false"]}}
    return engine.run(
        pod(
            "hook-fails",
            containers=[
                engine.container(
                    "one", WAIT_FOR_TERM.format("one", 6), lifecycle={"postStart": hook}
                )
            ],
        )
    )


@behaviour("concepts/containers/container-lifecycle-hooks/#container-hooks")
def test_a_failed_post_start_hook_stops_the_container(engine: Engine) -> None:
    """A container whose postStart hook fails is stopped."""
    outcome = hook_fails(engine)
    assert (outcome.phase, outcome.code) == ("Failed", 6)


@scenario
def greedy(engine: Engine) -> Outcome:
    return engine.run(
        pod(
            "greedy",
            containers=[
                engine.container(
                    "main",
                    "exec tail -c 100000000 /dev/zero",
                    resources={"limits": {"memory": "20Mi"}},
                )
            ],
        )
    )


@behaviour(
    "tasks/configure-pod-container/assign-memory-resource/#exceed-a-container-s-memory-limit"
)
def test_more_memory_than_the_limit_is_oom_killed(engine: Engine) -> None:
    """A container above its memory limit is killed, with 137 and the reason OOMKilled."""
    outcome = greedy(engine)
    assert outcome.ended("main")["reason"] == "OOMKilled"
    assert outcome.code == 137


@behaviour(f"{LIFECYCLE}#container-states")
def test_a_command_that_does_not_exist_fails_the_container(engine: Engine) -> None:
    """A container that can't be started counts as failed, and the reason is said."""
    document = pod(
        "no-command", containers=[{**engine.container("main", ""), "command": ["/no/such"]}]
    )
    outcome = engine.run(document)
    assert outcome.ended("main")["reason"] == "StartError"
    assert "/no/such" in outcome.ended("main")["message"]
    assert outcome.phase == "Failed"
