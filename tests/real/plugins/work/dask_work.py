# SPDX-License-Identifier: Apache-2.0
"""A scheduler and two workers in processes of their own, which share the work."""

import os

import dask.bag
from distributed import Client, LocalCluster


def main(numbers: int) -> "dict[str, int]":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            bag = dask.bag.from_sequence(range(numbers), npartitions=8)
            total = bag.map(lambda x: x * x).sum().compute()
            pids = client.run(os.getpid)
    return {"total": total, "workers": len({*pids.values()} - {os.getpid()})}
