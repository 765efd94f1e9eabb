# SPDX-License-Identifier: Apache-2.0
"""The kubelet's rules by a clock that nobody waits for; tests/conformance/pods has real ones."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from imagekit.pods.model import Container, Exec, Pod, Probe, ProbeKind, RestartPolicy, Role
from imagekit.pods.status import exit_code_of, phase_of, status_of
from tests.fakes.pod_world import FOREVER, Life, World

HOOK = Exec(("true",))


def a_pod(*containers: Container, **more: Any) -> Pod:
    initial = tuple(each for each in containers if each.role is not Role.MAIN)
    main = tuple(each for each in containers if each.role is Role.MAIN)
    return Pod("pod", initial, main, **{"restart": "Never", **more})


def init(name: str, **more: Any) -> Container:
    return Container(name, "image", Role.INIT, **more)


def sidecar(name: str, **more: Any) -> Container:
    return Container(name, "image", Role.SIDECAR, **more)


def main(name: str, **more: Any) -> Container:
    return Container(name, "image", **more)


def probe(kind: ProbeKind, **more: Any) -> dict[ProbeKind, Probe]:
    return {kind: Probe(HOOK, **more)}


def test_a_pod_starts_and_ends_in_order() -> None:
    """Init containers in turn, sidecars in their place, tasks, then sidecars backwards."""
    pod = a_pod(init("a"), sidecar("s1"), init("b"), sidecar("s2"), main("m1"), main("m2"))
    world = World(pod, {name: [Life(1)] for name in ("a", "b", "m1", "m2")}).play()
    assert world.told() == [
        *("start a", "end a 0", "start s1", "start b", "end b 0", "start s2"),
        *("start m1", "start m2", "end m1 0", "end m2 0"),
        *("TERM s2", "end s2 143", "TERM s1", "end s1 143", "finish"),
    ]
    assert (phase_of(world.lifecycle), exit_code_of(world.lifecycle)) == ("Succeeded", 0)


def test_a_startup_probe_gates_what_follows() -> None:
    """The next container starts at the first round after the server is up."""
    pod = a_pod(sidecar("s", probes=probe("startup", period=3, failure_threshold=9)), main("m"))
    world = World(pod, {"s": [Life(passes={"startup": 7})], "m": [Life(1)]}).play()
    assert world.times("start m") == [9]


@pytest.mark.parametrize(("policy", "restarts"), [("Never", 0), ("OnFailure", 1), ("Always", 1)])
def test_the_policy_decides_about_failed_init_containers(
    policy: RestartPolicy, restarts: int
) -> None:
    """Never fails the pod; otherwise the init container is started again until it succeeds."""
    pod = a_pod(init("a"), main("m"), restart=policy)
    world = World(pod, {"a": [Life(1, code=3), Life(1)], "m": [Life(9)]}).play(until=8)
    assert len(world.times("start a")) == 1 + restarts
    assert len(world.times("start m")) == (1 if restarts else 0)
    if policy == "Never":
        assert (phase_of(world.lifecycle), exit_code_of(world.lifecycle)) == ("Failed", 3)


def test_restarts_back_off_up_to_five_minutes() -> None:
    """At once, after 10 s, doubled each time, never more than 300 s."""
    world = World(a_pod(main("m"), restart="Always"), {"m": [Life(0, code=1)]}).play(until=2000)
    starts = world.times("start m")
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert gaps == [0, 10, 20, 40, 80, 160, 300, 300, 300, 300, 300]


def test_a_long_run_resets_the_backoff() -> None:
    """A container that ended more than ten minutes after its start begins anew."""
    lives = [Life(0, code=1), Life(0, code=1), Life(601, code=1), Life(0, code=1), Life()]
    world = World(a_pod(main("m"), restart="Always"), {"m": lives}).play(until=1000)
    assert world.times("start m") == [0, 0, 10, 611, 621]


def test_ten_minutes_alone_do_not_reset_it() -> None:
    """Exactly twice the longest pause is not more."""
    lives = [Life(0, code=1), Life(0, code=1), Life(600, code=1), Life()]
    world = World(a_pod(main("m"), restart="Always"), {"m": lives}).play(until=1000)
    assert world.times("start m") == [0, 0, 10, 630]


def test_liveness_stops_and_restarts() -> None:
    """After failureThreshold failures the container is stopped, and its policy decides."""
    pod = a_pod(
        main("m", probes=probe("liveness", period=5, failure_threshold=2)), restart="OnFailure"
    )
    lives = [Life(passes={"liveness": FOREVER}), Life(3)]
    world = World(pod, {"m": lives}).play()
    assert world.told()[:5] == [
        *("start m", "liveness m False", "liveness m False", "TERM m", "end m 143"),
    ]
    assert world.times("TERM m") == [5]
    assert world.lifecycle.records["m"].attempt == 1
    assert phase_of(world.lifecycle) == "Succeeded"


def test_liveness_with_never_fails_the_pod() -> None:
    """Nobody starts it again."""
    pod = a_pod(main("m", probes=probe("liveness", failure_threshold=1)))
    world = World(pod, {"m": [Life(passes={"liveness": FOREVER})]}).play()
    assert (phase_of(world.lifecycle), exit_code_of(world.lifecycle)) == ("Failed", 143)


def test_a_probes_own_grace_counts_for_its_stop() -> None:
    """terminationGracePeriodSeconds of the probe stands for the pod's, between both signals."""
    pod = a_pod(main("m", probes=probe("liveness", failure_threshold=1, grace=7)), grace=60)
    life = Life(passes={"liveness": FOREVER}, stops_after=FOREVER)
    world = World(pod, {"m": [life]}).play()
    assert (world.times("TERM m"), world.times("KILL m")) == ([0], [7])


def test_other_probes_are_silent_until_startup_passed() -> None:
    """And begin at once then, unless their own delay is longer."""
    probes = {
        **probe("startup", period=2, failure_threshold=9),
        **probe("liveness", period=50),
        "readiness": Probe(HOOK, initial_delay=30, period=50),
    }
    world = World(a_pod(main("m", probes=probes)), {"m": [Life(40, passes={"startup": 5})]}).play()
    assert world.times("liveness m True") == [6]
    assert world.times("readiness m True") == [30]
    assert len(world.times("startup m True")) == 1


def test_readiness_counts_both_ways() -> None:
    """successThreshold in a row makes it ready, failureThreshold in a row unready."""
    pod = a_pod(main("m", probes=probe("readiness", period=1, success_threshold=3)))
    world = World(pod, {"m": [Life(30, passes={"readiness": 10})]}).play(until=12.5)
    notes = [(at, text) for at, text in world.story if text.startswith("note")]
    assert notes == [(2, "note m is not ready: as told"), (12, "note m is ready")]
    assert world.lifecycle.records["m"].ready


def test_the_deadline_fails_the_pod_with_its_grace() -> None:
    """It counts from the start, init containers included, and whoever runs gets the grace."""
    pod = a_pod(init("a"), main("m"), active_deadline=10, grace=4)
    world = World(pod, {"a": [Life(6)], "m": [Life(stops_after=FOREVER)]}).play()
    assert (world.times("TERM m"), world.times("KILL m")) == ([10], [14])
    status = status_of(world.lifecycle, 0)["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")


def test_the_grace_is_shared_and_two_seconds_are_the_least() -> None:
    """A preStop hook uses the grace up; SIGKILL still comes two seconds after SIGTERM."""
    pod = a_pod(main("m", pre_stop=HOOK), grace=5)
    life = Life(stops_after=FOREVER, hooks={"preStop": (4.5, True)})
    world = World(pod, {"m": [life]}).play(deleted_at=[1])
    # Of the hook's 4.5 seconds four count.
    assert (world.times("TERM m"), world.times("KILL m")) == ([5.5], [7.5])


def test_a_hook_without_end_is_left_behind() -> None:
    """When the grace is over, SIGTERM comes though preStop still runs."""
    pod = a_pod(main("m", pre_stop=HOOK), grace=5)
    life = Life(stops_after=FOREVER, hooks={"preStop": (FOREVER, True)})
    world = World(pod, {"m": [life]}).play(deleted_at=[1])
    assert (world.times("TERM m"), world.times("KILL m")) == ([6], [8])


def test_sidecars_wait_for_tasks_no_longer_than_the_grace() -> None:
    """With the pod's deletion their preStop runs at once, and their turn comes when tasks ended,
    or when the grace is used up."""
    pod = a_pod(sidecar("s1"), sidecar("s2", pre_stop=HOOK), main("m"), grace=10)
    lives = {"m": [Life(stops_after=4)], "s2": [Life(stops_after=FOREVER)]}
    world = World(pod, lives).play(deleted_at=[100])
    assert world.times("preStop s2") == [100]
    assert (world.times("TERM m"), world.times("TERM s2")) == ([100], [104])
    # Four of s2's ten seconds are gone, and s1 waits for it until its own are.
    assert (world.times("KILL s2"), world.times("TERM s1")) == ([110], [110])


def test_a_second_deletion_kills() -> None:
    """At once, and everything."""
    pod = a_pod(sidecar("s"), main("m"), grace=600)
    stays = [Life(stops_after=FOREVER)]
    world = World(pod, {"s": stays, "m": stays}).play(deleted_at=[5, 6])
    assert (world.times("KILL m"), world.times("KILL s")) == ([6], [6])
    assert exit_code_of(world.lifecycle) == 130


def test_a_first_deletion_leaves_an_ending_pod_its_grace() -> None:
    """One that its deadline ends, say: only a second one kills."""
    pod = a_pod(main("m"), active_deadline=10, grace=8)
    lives = {"m": [Life(stops_after=FOREVER)]}
    assert World(pod, lives).play(deleted_at=[12]).times("KILL m") == [18]
    assert World(pod, lives).play(deleted_at=[12, 13]).times("KILL m") == [13]


def test_nothing_new_starts_in_a_pod_that_ends() -> None:
    """No init container after a deletion, no restart of a sidecar."""
    pod = a_pod(sidecar("s"), init("a"), init("b"), main("m"))
    world = World(pod, {"s": [Life(9, code=1)], "a": [Life(stops_after=20)]}).play(deleted_at=[5])
    assert world.times("start b") == world.times("start m") == []
    assert len(world.times("start s")) == 1
    assert phase_of(world.lifecycle) == "Failed"


def test_a_post_start_hook_holds_the_next_container_back() -> None:
    """Of tasks and of sidecars alike; readiness and startup come after it."""
    pod = a_pod(sidecar("s", post_start=HOOK), main("m", post_start=HOOK), main("n"))
    slow = Life(20, hooks={"postStart": (3, True)})
    world = World(pod, {"s": [slow], "m": [slow], "n": [Life(1)]}).play(until=10)
    assert (world.times("start m"), world.times("start n")) == ([3], [6])


def test_a_failed_post_start_hook_stops_the_container() -> None:
    """And it is started again as its policy says."""
    pod = a_pod(main("m", post_start=HOOK), restart="OnFailure")
    lives = [Life(hooks={"postStart": (1, False)}), Life(2)]
    world = World(pod, {"m": lives}).play()
    assert world.told() == [
        *("start m", "postStart m", "TERM m", "end m 143"),
        *("start m", "postStart m", "end m 0", "finish"),
    ]


def test_what_can_not_be_started_has_failed() -> None:
    """With a code that no program gave, and the engine's reason."""
    world = World(a_pod(main("m")), {"m": [Life(starts=False)]}).play()
    ended = world.lifecycle.records["m"].ended
    assert ended is not None
    assert (ended.code, ended.reason, ended.message) == (128, "StartError", "as told")


def test_a_sidecar_that_died_is_back_while_others_start() -> None:
    """It does not hold them up: it was started once."""
    pod = a_pod(sidecar("s"), init("a"), main("m"))
    world = World(pod, {"s": [Life(1, code=1), Life()], "a": [Life(5)], "m": [Life(1)]}).play()
    assert (world.times("start s"), world.times("start m")) == ([0, 1], [5])


def test_a_failed_gate_shows_who_was_not_ready() -> None:
    """Its last lines are asked for."""
    pod = a_pod(sidecar("s", probes=probe("readiness")), init("gate"), main("m"))
    lives = {"s": [Life(passes={"readiness": FOREVER})], "gate": [Life(5, code=1)]}
    world = World(pod, lives).play()
    assert "note s did not become ready" in [text for _, text in world.story]
