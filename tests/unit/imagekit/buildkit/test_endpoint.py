# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json
import socket
from pathlib import Path

import pytest

from imagekit.buildkit.endpoint import Certificates, Endpoint, find_endpoint
from imagekit.buildkit.engine import Engine
from imagekit.errors import EngineError


def context(home: Path, name: str, docker: dict[str, object]) -> Path:
    """Write a context as `docker context create` does; returns the folder of its certificates."""
    identifier = hashlib.sha256(name.encode()).hexdigest()
    meta = home / ".docker/contexts/meta" / identifier / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Name": name, "Endpoints": {"docker": docker}}))
    return home / ".docker/contexts/tls" / identifier / "docker"


def test_without_any_setting_it_is_the_default_socket(tmp_path: Path) -> None:
    """Neither environment nor configuration."""
    assert find_endpoint({}, tmp_path) == Endpoint("unix:///var/run/docker.sock")


def test_the_host_of_the_environment_comes_before_contexts(tmp_path: Path) -> None:
    """As the docker program has it."""
    found = find_endpoint({"DOCKER_HOST": "unix:///x", "DOCKER_CONTEXT": "far"}, tmp_path)
    assert found == Endpoint("unix:///x")


def test_the_current_context_is_used_with_its_certificates(tmp_path: Path) -> None:
    """From config.json, the metadata's folder and the folder of TLS files."""
    tls = context(tmp_path, "far", {"Host": "tcp://far:2376"})
    tls.mkdir(parents=True)
    (tls / "ca.pem").write_text("x")
    (tmp_path / ".docker/config.json").write_text('{"currentContext": "far"}')
    assert find_endpoint({}, tmp_path) == Endpoint(
        "tcp://far:2376", Certificates(authority=tls / "ca.pem")
    )


def test_a_missing_context_is_an_error_by_name(tmp_path: Path) -> None:
    """Never the default engine in its place."""
    with pytest.raises(EngineError, match="no Docker context 'gone'"):
        find_endpoint({"DOCKER_CONTEXT": "gone"}, tmp_path)


def test_tls_variables_count_for_tcp(tmp_path: Path) -> None:
    """DOCKER_TLS_VERIFY with the certificates of DOCKER_CERT_PATH."""
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).write_text("x")
    environ = {
        "DOCKER_HOST": "tcp://far:2376",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": str(tmp_path),
    }
    expected = Certificates(tmp_path / "ca.pem", tmp_path / "cert.pem", tmp_path / "key.pem")
    assert find_endpoint(environ, tmp_path).certificates == expected


def test_nobody_at_the_socket_is_an_error_with_its_path(tmp_path: Path) -> None:
    """And a hint that names the settings."""
    with pytest.raises(EngineError, match="No such file") as raised:
        Endpoint(f"unix://{tmp_path}/none").connect()
    assert raised.value.hint is not None


@pytest.mark.parametrize("url", ["ssh://host", "npipe:////./pipe", "tcp://"])
def test_other_kinds_of_hosts_are_refused_by_name(url: str) -> None:
    """With what can be done instead."""
    with pytest.raises(EngineError, match="can't connect"):
        Endpoint(url).connect()


def test_an_engine_that_does_not_answer_is_said(tmp_path: Path) -> None:
    """After a while, and not never."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "engine"))
        listener.listen()
        engine = Engine(Endpoint(f"unix://{tmp_path}/engine"))
        with pytest.raises(EngineError, match=r"asking the Docker Engine at unix://.*timed out"):
            engine.api_version(seconds=0.2)
