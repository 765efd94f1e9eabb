# SPDX-License-Identifier: Apache-2.0
"""What `pip_extra_args` and `pip_secret_mounts` come to."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.errors import SpecError
from imagekit.spec.addresses import addresses
from imagekit.spec.digest import spec_digest
from imagekit.spec.model import ImageSpec
from imagekit.spec.pip_args import UnknownArgumentError, uv_options
from imagekit.spec.secret_files import mounted, resolver_variables, with_secrets
from imagekit.urls import with_credentials

SPEC = ImageSpec(
    pip_index="https://index.example/simple",
    pip_secret_mounts=[("secret/netrc", "/root/.netrc"), ("secret/uv.toml", "/etc/uv/uv.toml")],
)


def test_options_of_pip_are_those_of_uv() -> None:
    """With values in either spelling; what is true anyway is taken and does nothing."""
    text = "--pre --no-cache-dir -f 'my wheels' --exclude-newer=2026-01-01 --trusted-host a.example"
    assert uv_options(text) == (
        "--prerelease=allow", "--find-links=my wheels", "--exclude-newer=2026-01-01",
        "--allow-insecure-host=a.example",
    )  # fmt: skip
    for wrong, hint in (("-i x", "pip_index"), ("--user", "known are"), ("-f 'x", "quote")):
        with pytest.raises(UnknownArgumentError) as caught:
            uv_options(wrong)
        assert hint in caught.value.hint


def test_a_netrc_says_who_fetches(tmp_path: Path) -> None:
    """From its host, on any port, and from no other; uv is told where it is."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/netrc").write_text("machine index.example login me password p@ss\n")
    known = addresses(SPEC, tmp_path)
    for host in ("index.example", "index.example:8443"):
        url = with_credentials(f"https://{host}/files/x.whl", known)
        assert url == f"https://me:p%40ss@{host}/files/x.whl"
    other = "https://other.example/x.whl"
    assert with_credentials(other, known) == other
    assert resolver_variables(SPEC, tmp_path) == {
        "NETRC": str(tmp_path / "secret/netrc"),
        "UV_CONFIG_FILE": str(tmp_path / "secret/uv.toml"),
    }
    assert with_secrets(SPEC, tmp_path).pip_index == "https://me:p%40ss@index.example/simple"
    assert ("secret/netrc", "/root/.netrc") not in mounted(SPEC, tmp_path)  # absolute by now
    (tmp_path / "secret/netrc").write_text("machine\n")
    with pytest.raises(SpecError, match="is no netrc file"):
        addresses(SPEC, tmp_path)


def test_what_decides_a_resolution_makes_a_lock_stale(tmp_path: Path) -> None:
    """Arguments and the interpreter do, secrets and the tag's form don't."""
    plain = ImageSpec()
    same = [ImageSpec(pip_secret_mounts=[("a", "/a")]), ImageSpec(tag_format="x-{spec_hash}")]
    other = [ImageSpec(pip_extra_args="--pre"), ImageSpec(python_exec="/usr/bin/python3")]
    assert {spec_digest(each, tmp_path) for each in same} == {spec_digest(plain, tmp_path)}
    assert len({spec_digest(each, tmp_path) for each in (plain, *other)}) == 3
