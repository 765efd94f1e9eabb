# SPDX-License-Identifier: Apache-2.0
"""A cluster of Ray on this machine: remote functions, and an actor that counts them."""

import os

import ray


@ray.remote
class Counter:
    def __init__(self) -> None:
        self.pids: set[int] = set()

    def add(self, pid: int) -> None:
        self.pids.add(pid)

    def elsewhere(self, pid: int) -> bool:
        return bool(self.pids) and pid not in self.pids


@ray.remote
def square(x: int, counter: "ray.ObjectRef") -> int:
    ray.get(counter.add.remote(os.getpid()))
    return x * x


def main(numbers: int) -> "dict[str, int | bool]":
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100_000_000)
    counter = Counter.remote()
    total = sum(ray.get([square.remote(x, counter) for x in range(numbers)]))
    elsewhere = ray.get(counter.elsewhere.remote(os.getpid()))
    ray.shutdown()
    return {"total": total, "elsewhere": elsewhere}
