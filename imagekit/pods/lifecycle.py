# SPDX-License-Identifier: Apache-2.0
"""What the kubelet does with one pod, as a pure machine: events and the time in, actions out.

It holds no clock and starts nothing. Everything that is to be done follows from the state that the
events made, so each event ends with one look at all of it (`_sync`), as in the kubelet.

Sources: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/,
https://kubernetes.io/docs/concepts/workloads/pods/init-containers/ and
https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/ (KEP-753).
"""

from __future__ import annotations

from collections.abc import Iterator

from imagekit.pods.happenings import (
    Action,
    AskProbe,
    Deleted,
    Event,
    Exited,
    Finish,
    HookEnded,
    Note,
    Probed,
    RunHook,
    Signal,
    Start,
    Started,
    StartFailed,
    TimePassed,
)
from imagekit.pods.model import Pod, RestartPolicy, Role
from imagekit.pods.probing import Prober
from imagekit.pods.record import Ended, Record, State
from imagekit.pods.stopping import Step, Stop
from imagekit.values import frozen

_START_ERROR_CODE = 128
DEADLINE_MESSAGE = "Pod was active on the node longer than the specified deadline"


@frozen
class Ending:
    """Why the pod is being stopped."""

    reason: str = ""
    message: str = ""


class Lifecycle:
    """Begins with `begin`, is told what happens by `handle`, and is over after `Finish`."""

    def __init__(self, pod: Pod) -> None:
        self.pod = pod
        self.records = {spec.name: Record(spec) for spec in pod.containers}
        self.ending: Ending | None = None
        self.finished = False
        self._initial = [self.records[spec.name] for spec in pod.initial]
        self._main = [self.records[spec.name] for spec in pod.main]
        self._deleted = False
        self._begun_at = self._seen_at = 0.0
        self._done = 0
        """How many of `_initial` have had their first turn."""

    def begin(self, now: float) -> list[Action]:
        self._begun_at = now
        return self._sync(now)

    def handle(self, event: Event, now: float) -> list[Action]:
        """What `event` calls for. Events of a run that is over are ignored."""
        actions = list(self._apply(event, now))
        return [*actions, *self._sync(now)]

    def due_at(self) -> float | None:
        """When the machine wants to be told that time has passed, if nothing happens before.

        What was due at the last event and was not done waits for another event.
        """
        times = [self._deadline_at(), *map(self._backoff_at, self.records.values())]
        for record in self.records.values():
            if record.stop is not None:
                times.append(record.stop.due_at)
            elif record.state is State.RUNNING:
                times.extend(prober.due_at() for prober in self._asked(record))
        later = (time for time in times if time is not None and time > self._seen_at)
        return min(later, default=None)

    @property
    def initialized(self) -> bool:
        return self._done == len(self._initial)

    # Events

    def _apply(self, event: Event, now: float) -> Iterator[Action]:
        if isinstance(event, TimePassed):
            return
        if isinstance(event, Deleted):
            yield from self._delete(now)
            return
        record = self.records[event.run.container]
        if event.run != record.run or not record.is_up:
            return
        match event:
            case Started():
                yield from self._began(record, now)
            case StartFailed():
                yield Note(f"could not be started: {event.message}", record.name)
                record.end(Ended(_START_ERROR_CODE, "StartError", event.message, now))
            case Exited():
                yield from self._ended(record, event, now)
            case Probed():
                yield from self._answered(record, event, now)
            case HookEnded():
                yield from self._hook_ended(record, event, now)

    def _began(self, record: Record, now: float) -> Iterator[Action]:
        record.begin(now)
        if record.stop_wanted is not None:
            yield from self._stop(record, record.stop_wanted, now)
        elif record.spec.post_start is not None:
            yield RunHook(record.run, "postStart")

    def _ended(self, record: Record, event: Exited, now: float) -> Iterator[Action]:
        reason = "Completed" if event.code == 0 else "Error"
        reason = "OOMKilled" if event.out_of_memory else reason
        unasked = record.stop is None
        record.end(Ended(event.code, reason, event.message, now))
        if unasked and (event.code != 0 or record.is_sidecar):
            text = f"ended with exit code {event.code} ({reason})"
            yield Note(text, record.name, lines=record.is_sidecar)

    def _answered(self, record: Record, event: Probed, now: float) -> Iterator[Action]:
        prober = record.probers.get(event.kind)
        if prober is None:
            return
        took_effect = prober.answered(event.passed)
        if not took_effect or record.stop is not None:
            return
        if event.kind == "readiness":
            yield Note(
                "is ready" if event.passed else f"is not ready: {event.message}", record.name
            )
        elif not event.passed:
            yield Note(
                f"{event.kind} probe failed {prober.probe.failure_threshold} times:"
                f" {event.message}; it will be stopped",
                record.name,
                lines=event.kind == "startup",
            )
            grace = self.pod.grace if prober.probe.grace is None else prober.probe.grace
            yield from self._stop(record, grace, now)
        elif event.kind == "startup":
            for other in self._asked(record):
                other.not_before(now)

    def _hook_ended(self, record: Record, event: HookEnded, now: float) -> Iterator[Action]:
        if event.moment == "preStop":
            if record.stop is not None and record.stop.step is Step.HOOK:
                if not event.passed:
                    yield Note(f"preStop hook failed: {event.message}", record.name)
                record.stop.used(now)
                record.stop.step = Step.TURN
            return
        record.hooked = event.passed
        if not event.passed and record.stop is None:
            yield Note(f"postStart hook failed: {event.message}; it will be stopped", record.name)
            yield from self._stop(record, self.pod.grace, now)

    def _delete(self, now: float) -> Iterator[Action]:
        """The first one asks, whatever else may be ending the pod; the second one kills."""
        if not self._deleted:
            self._deleted = True
            self._end(Ending("Deleted", "somebody asked for the pod's end"))
            return
        for record in self.records.values():
            record.stop_wanted = 0
            if record.state is State.RUNNING:
                record.stop = Stop(Step.KILLED, 0, now)
                yield Signal(record.run, "KILL")

    # The look at everything

    def _sync(self, now: float) -> list[Action]:
        if self.finished:
            return []
        self._seen_at = now
        deadline = self._deadline_at()
        if deadline is not None and now >= deadline:
            self._end(Ending("DeadlineExceeded", DEADLINE_MESSAGE))
        actions: list[Action] = []
        if self.ending is None:
            actions += self._progress(now)
        if self.ending is not None:
            actions += self._stop_all(now)
        for record in self.records.values():
            actions += self._ask(record, now)
            actions += self._advance_stop(record, now)
        if self.ending is not None and not any(r.is_up for r in self.records.values()):
            self.finished = True
            actions.append(Finish())
        return actions

    def _progress(self, now: float) -> Iterator[Action]:
        """Start whatever may start; the pod's end, if it has come."""
        while self._done < len(self._initial):
            record = self._initial[self._done]
            if not self._has_had_its_turn(record):
                break
            self._done += 1
        for record in self._initial[: self._done + 1]:
            yield from self._keep_up(record, now)
        if self.ending is None and self.initialized:
            yield from self._start_main(now)
            if all(self._is_over(record) for record in self._main):
                self._end(Ending())

    def _has_had_its_turn(self, record: Record) -> bool:
        if record.is_sidecar:
            return record.started
        return record.state is State.TERMINATED and not record.failed

    def _start_main(self, now: float) -> Iterator[Action]:
        """One after another: a postStart hook holds up those behind it."""
        for record in self._main:
            yield from self._keep_up(record, now)
            if record.state is State.STARTING or (record.is_up and not record.hooked):
                return

    def _keep_up(self, record: Record, now: float) -> Iterator[Action]:
        if record.state is State.WAITING:
            record.state = State.STARTING
            yield Start(record.run)
        elif record.state is State.TERMINATED and self._restarts(record):
            at = self._backoff_at(record)
            if at is None or now >= at:
                record.again(now)
                yield Start(record.run)
            elif not record.told_backoff:
                record.told_backoff = True
                yield Note(f"CrashLoopBackOff: starts again in {at - now:.0f} s", record.name)
        elif record.spec.role is Role.INIT and record.failed:
            self._end(Ending("", f"init container {record.name} failed"))
            for other in self._initial:
                if other.is_sidecar and other.is_up and not other.ready:
                    yield Note("did not become ready", other.name, lines=True)

    def _restarts(self, record: Record) -> bool:
        policy: RestartPolicy = "Always" if record.is_sidecar else self.pod.restart
        if record.spec.role is Role.INIT and policy == "Always":
            policy = "OnFailure"
        return policy == "Always" or (policy == "OnFailure" and record.failed)

    def _is_over(self, record: Record) -> bool:
        return record.state is State.TERMINATED and not self._restarts(record)

    def _end(self, ending: Ending) -> None:
        if self.ending is None:
            self.ending = ending

    # Probes and stops

    def _asked(self, record: Record) -> list[Prober]:
        """The probes that may be asked now: the startup probe, and then all others."""
        startup = record.probers.get("startup")
        if startup is not None and startup.settled is not True:
            return [startup]
        return [prober for kind, prober in record.probers.items() if kind != "startup"]

    def _ask(self, record: Record, now: float) -> Iterator[Action]:
        if record.state is not State.RUNNING or record.stop is not None:
            return
        for prober in self._asked(record):
            due = prober.due_at()
            if due is not None and now >= due:
                prober.asked(now)
                yield AskProbe(record.run, prober.kind)

    def _stop_all(self, now: float) -> Iterator[Action]:
        for record in self.records.values():
            if record.is_up and not record.in_order:
                record.in_order = True
                if record.stop is None:
                    yield from self._stop(record, self.pod.grace, now)

    def _stop(self, record: Record, grace: int, now: float) -> Iterator[Action]:
        if record.state is State.STARTING:
            record.stop_wanted = grace
            return
        record.stop_wanted = None
        if record.spec.pre_stop is not None and grace > 0:
            record.stop = Stop(Step.HOOK, grace, now)
            yield RunHook(record.run, "preStop")
        else:
            record.stop = Stop(Step.TURN, grace, now)

    def _advance_stop(self, record: Record, now: float) -> Iterator[Action]:
        stop = record.stop
        if stop is None or record.state is not State.RUNNING:
            return
        due = stop.due_at
        late = due is not None and now >= due
        if stop.step is Step.HOOK and late:
            yield Note("preStop hook took all of the grace", record.name)
            stop.used(now)
            stop.step, late = Step.TURN, True
        if stop.step is Step.TURN and (late or self._may_stop(record)):
            stop.used(now)
            stop.signalled(now)
            yield Signal(record.run, "TERM")
        elif stop.step is Step.SIGNALLED and late:
            stop.step = Step.KILLED
            yield Signal(record.run, "KILL")

    def _may_stop(self, record: Record) -> bool:
        """With the pod, a sidecar waits for all main containers, and for sidecars after it."""
        if not record.is_sidecar or not record.in_order:
            return True
        later = self._initial[self._initial.index(record) + 1 :]
        before = [*self._main, *(other for other in later if other.is_sidecar)]
        return not any(other.is_up for other in before)

    # Times

    def _deadline_at(self) -> float | None:
        limit = self.pod.active_deadline
        if limit is None or self.ending is not None:
            return None
        return self._begun_at + limit

    def _backoff_at(self, record: Record) -> float | None:
        if self.ending is not None or record.ended is None:
            return None
        if record.state is not State.TERMINATED or not self._restarts(record):
            return None
        return record.backoff.ready_at(record.ended.at)
