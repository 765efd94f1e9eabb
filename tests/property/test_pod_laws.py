# SPDX-License-Identifier: Apache-2.0
"""Laws of a pod's life, whatever its containers do."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as some

from imagekit.pods.expand import expand
from imagekit.pods.logs import Lines
from imagekit.pods.model import Container, Exec, Pod, Probe, Role
from imagekit.pods.record import State
from tests.fakes.pod_world import FOREVER, Life, World

HOOK = Exec(("true",))
seconds = some.sampled_from([0.0, 0.5, 1.0, 3.0, 12.0, FOREVER])
probes = some.builds(
    Probe,
    some.just(HOOK),
    initial_delay=some.integers(0, 3),
    period=some.integers(1, 5),
    failure_threshold=some.integers(1, 3),
)
lives = some.builds(
    Life,
    lasts=seconds,
    code=some.sampled_from([0, 0, 1]),
    stops_after=seconds,
    starts=some.sampled_from([True, True, True, False]),
    passes=some.dictionaries(some.sampled_from(["startup", "liveness", "readiness"]), seconds),
    hooks=some.dictionaries(
        some.sampled_from(["postStart", "preStop"]), some.tuples(seconds, some.booleans())
    ),
)


@some.composite
def worlds(draw: some.DrawFn) -> World:
    def container(name: str, role: Role) -> Container:
        plain = role is Role.INIT
        return Container(
            name,
            "image",
            role,
            probes={}
            if plain
            else draw(
                some.dictionaries(some.sampled_from(["startup", "liveness", "readiness"]), probes)
            ),
            post_start=None if plain else draw(some.none() | some.just(HOOK)),
            pre_stop=None if plain else draw(some.none() | some.just(HOOK)),
        )

    roles = draw(some.lists(some.sampled_from([Role.INIT, Role.SIDECAR]), max_size=4))
    pod = Pod(
        "pod",
        tuple(container(f"{role.value}{place}", role) for place, role in enumerate(roles)),
        tuple(container(f"main{place}", Role.MAIN) for place in range(draw(some.integers(1, 3)))),
        restart=draw(some.sampled_from(["Always", "OnFailure", "Never"])),
        grace=draw(some.integers(0, 8)),
        active_deadline=draw(some.none() | some.integers(1, 60)),
    )
    return World(
        pod, {each.name: draw(some.lists(lives, min_size=1, max_size=3)) for each in pod.containers}
    )


@settings(max_examples=60, deadline=None)
@given(worlds(), some.floats(0, 100))
def test_every_deleted_pod_ends(world: World, at: float) -> None:
    """Within twice the grace and what is the least for each container, and nothing runs then."""
    patience = (world.pod.grace + 2) * (len(world.pod.containers) + 1)
    world.play(deleted_at=[at], until=at + patience)
    assert world.lifecycle.finished
    assert all(not record.is_up for record in world.lifecycle.records.values())


@settings(max_examples=60, deadline=None)
@given(worlds())
def test_a_container_runs_once_at_a_time_and_starts_in_its_turn(world: World) -> None:
    """No start of what runs; none of a task before all init containers had their turn."""
    world.play(until=200)
    running: set[str] = set()
    had_turn: set[str] = set()
    for _, text in world.story:
        verb, _, rest = text.partition(" ")
        if verb == "start":
            assert rest not in running
            if rest.startswith("main"):
                assert {each.name for each in world.pod.initial} <= had_turn
            running.add(rest)
            if rest.startswith("sidecar"):
                had_turn.add(rest)
        elif verb == "end":
            name, code = rest.split()
            running.discard(name)
            if name.startswith("init") and code == "0":
                had_turn.add(name)
        elif verb == "note" and "could not be started" in text:
            running.discard(rest.split()[0])


@settings(max_examples=60, deadline=None)
@given(worlds(), some.floats(0, 100))
def test_the_kill_comes_two_seconds_after_the_term(world: World, at: float) -> None:
    """At the earliest; and before a second deletion no run is killed that was not asked first."""
    world.play(deleted_at=[at])
    asked: dict[str, float] = {}
    for when, text in world.story:
        verb, _, name = text.partition(" ")
        if verb == "start":
            asked.pop(name, None)
        elif verb == "TERM":
            asked[name] = when
        elif verb == "KILL":
            assert round(when - asked[name], 6) >= 2


@settings(max_examples=60, deadline=None)
@given(worlds())
def test_a_pod_that_ended_by_itself_ended_for_a_reason(world: World) -> None:
    """Every task is over for good, or an init container failed, or the deadline came."""
    world.play(until=500)
    if not world.lifecycle.finished:
        return
    ending = world.lifecycle.ending
    assert ending is not None
    tasks = [world.lifecycle.records[each.name] for each in world.pod.main]
    over = all(record.state is State.TERMINATED for record in tasks)
    assert over or ending.reason == "DeadlineExceeded" or "failed" in ending.message


@given(some.binary(), some.lists(some.integers(0, 50)))
def test_lines_are_the_same_however_they_come(data: bytes, cuts: list[int]) -> None:
    """Nothing is lost between two reads."""
    lines, found, rest = Lines(), [], data
    for cut in cuts:
        found += lines.add(rest[:cut])
        rest = rest[cut:]
    found += lines.add(rest) + lines.end()
    expected = data.split(b"\n")
    assert found == (expected if expected[-1] else expected[:-1])


@given(
    some.text(alphabet="$()AB x"), some.dictionaries(some.sampled_from("AB"), some.text(max_size=3))
)
def test_text_without_dollars_is_never_changed(text: str, variables: dict[str, str]) -> None:
    """And an escaped text comes back as it was."""
    assert expand(text.replace("$", ""), variables) == text.replace("$", "")
    assert expand(text.replace("$", "$$"), variables) == text
