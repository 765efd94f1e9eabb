# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from imagekit.errors import ImagekitError, RegistryError
from imagekit.registry.credentials import Credentials, find_credentials

HOST = "registry.example:5000"
HELPER = """#!/bin/sh
cat > "$ASKED"
{body}
"""


def entry(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


class Home:
    """A user's home, Docker configuration and PATH, all in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked = folder / "asked"
        self.environ = {"PATH": f"{folder}:/usr/bin:/bin", "ASKED": str(self.asked)}

    def write(self, content: Any, path: str = ".docker/config.json") -> Path:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content if isinstance(content, str) else json.dumps(content))
        return target

    def helper(self, body: str, name: str = "x") -> None:
        program = self.folder / f"docker-credential-{name}"
        program.write_text(HELPER.format(body=body))
        program.chmod(0o755)

    def find(self, host: str = HOST, repository: str = "team/app") -> Credentials | None:
        return find_credentials(host, repository, self.environ, self.folder)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_without_configuration_there_are_none(home: Home) -> None:
    assert home.find() is None


@pytest.mark.parametrize(
    "key", [HOST, f"https://{HOST}", f"https://{HOST}/v1/", f"http://{HOST}/v2/"]
)
def test_an_entry_is_found_however_its_key_is_written(home: Home, key: str) -> None:
    """Older programs wrote URLs."""
    home.write({"auths": {key: entry("me", "pass:word")}})
    assert home.find() == Credentials("me", "pass:word")


def test_the_hubs_entry_has_a_key_of_its_own(home: Home) -> None:
    hub = "docker." + "io"
    home.write({"auths": {f"https://index.{hub}/v1/": entry("me", "word")}})
    assert home.find(hub, "library/python") == Credentials("me", "word")


def test_docker_config_names_another_folder(home: Home) -> None:
    home.write({"auths": {HOST: entry("me", "word")}}, "elsewhere/config.json")
    home.environ["DOCKER_CONFIG"] = str(home.folder / "elsewhere")
    assert home.find() == Credentials("me", "word")


def test_podmans_file_is_read_too_and_the_longest_name_counts(home: Home) -> None:
    """Its keys may be namespaces and repositories."""
    auths = {HOST: entry("all", "1"), f"{HOST}/team": entry("team", "2")}
    home.write({"auths": auths}, "run/containers/auth.json")
    home.environ["XDG_RUNTIME_DIR"] = str(home.folder / "run")
    assert home.find() == Credentials("team", "2")
    assert home.find(repository="teams/app") == Credentials("all", "1")


def test_the_file_that_is_named_comes_first(home: Home) -> None:
    home.write({"auths": {HOST: entry("docker", "1")}})
    named = home.write({"auths": {HOST: entry("named", "2")}}, "named.json")
    home.environ["REGISTRY_AUTH_FILE"] = str(named)
    assert home.find() == Credentials("named", "2")


@pytest.mark.parametrize("where", [{"credsStore": "x"}, {"credHelpers": {HOST: "x"}}])
def test_a_helper_is_asked_with_the_host_on_its_input(home: Home, where: dict[str, Any]) -> None:
    home.helper("""echo '{"Username": "me", "Secret": "from helper"}'""")
    home.write({**where, "auths": {HOST: {}}})
    assert home.find() == Credentials("me", "from helper")
    assert home.asked.read_text() == HOST


def test_a_helpers_token_is_an_identity_token(home: Home) -> None:
    home.helper("""echo '{"Username": "<token>", "Secret": "identity"}'""")
    home.write({"credsStore": "x"})
    assert home.find() == Credentials(identity_token="identity")


def test_a_helper_that_has_nothing_says_so(home: Home) -> None:
    """Its exit status is an error then, and its words are not."""
    home.helper("echo 'credentials not found in native keychain'; exit 1")
    home.write({"credsStore": "x"})
    assert home.find() is None


@pytest.mark.parametrize(
    "body",
    [
        "echo secret-word; exit 3",
        "echo secret-word >&2; exit 1",
        "echo 'secret-word {'",
        "kill -9 $$",
    ],
)
def test_a_helper_that_fails_is_an_error_without_its_words(home: Home, body: str) -> None:
    """That there are no credentials was not said; and what was said may be a secret."""
    home.helper(body)
    home.write({"credsStore": "x"})
    with pytest.raises(ImagekitError) as caught:
        home.find()
    assert "docker-credential-x" in caught.value.message
    assert "secret-word" not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("name", ["absent", "../x", "/bin/sh", ""])
def test_a_helper_that_is_not_there_is_an_error(home: Home, name: str) -> None:
    """Nor is anything but a program's name taken for one."""
    home.helper("echo '{}'")
    home.write({"credsStore": name})
    if not name:
        assert home.find() is None
        return
    with pytest.raises(RegistryError, match="no program"):
        home.find()


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"auths": []}', f'{{"auths": {{"{HOST}": {{"auth": "!"}}}}}}']
)
def test_a_broken_configuration_is_an_error_that_names_it(home: Home, content: str) -> None:
    path = home.write(content)
    with pytest.raises(ImagekitError, match=str(path)):
        home.find()


def test_credentials_don_t_show_themselves() -> None:
    found = Credentials("name", "secret-1", "secret-2", "secret-3")
    assert "secret" not in repr(found)
    assert "name" not in repr(found)
