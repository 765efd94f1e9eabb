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

    def number(self) -> int:
        return len(self.pids)


@ray.remote
def square(x: int, counter: "ray.ObjectRef") -> int:
    ray.get(counter.add.remote(os.getpid()))
    return x * x


def main(numbers: int) -> "list[int]":
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100_000_000)
    counter = Counter.remote()
    total = sum(ray.get([square.remote(x, counter) for x in range(numbers)]))
    others = ray.get(counter.number.remote()) >= 1
    ray.shutdown()
    return [total, int(others)]
