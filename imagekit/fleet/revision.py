# SPDX-License-Identifier: Apache-2.0
"""What the images of a repository were at an earlier revision, read out of git."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from imagekit.errors import BuildError, SpecError
from imagekit.fleet.rows import known
from imagekit.oci.scratch import scratch_directory
from imagekit.paths import cache_directory
from imagekit.spec.load import load_spec


def tags_at(revision: str, addresses: Iterable[Path]) -> dict[Path, str]:
    """The tags that the specs at `addresses` had; without those that had none then.

    All of them are in the repository of the current folder. Its files as they were are written
    into the cache, read and removed; the repository and its index are not touched.

    Raises:
        BuildError: this is no git repository, or has no such revision.
    """
    top = Path(_git("rev-parse", "--show-toplevel"))
    commit = _git("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    tags = {}
    with scratch_directory(cache_directory() / "revisions") as work:
        files = work / "files"
        # git writes them itself, so that its filters and line ends are those of a checkout.
        index = {**os.environ, "GIT_INDEX_FILE": str(work / "index")}
        _git("-C", str(top), "read-tree", commit, environ=index)
        _git("-C", str(top), "checkout-index", "--all", f"--prefix={files}/", environ=index)
        (files / ".git").touch()  # so that its .gitignore files count as in the checkout itself
        for address in addresses:
            then = files / os.path.relpath(address.absolute(), top)
            try:
                image = known(load_spec(then), then)
            except SpecError:
                continue
            if image.tag:
                tags[address] = image.tag
    return tags


def _git(*words: str, environ: Mapping[str, str] = os.environ) -> str:
    try:
        done = subprocess.run(["git", *words], capture_output=True, check=False, env=dict(environ))
    except FileNotFoundError as error:
        raise BuildError("git is not on PATH") from error
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise BuildError(f"git: {reason}", hint="is this a git repository, and fetched far enough?")
    return done.stdout.decode(errors="surrogateescape").rstrip("\n")
