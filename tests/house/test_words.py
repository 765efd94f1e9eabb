# SPDX-License-Identifier: Apache-2.0
"""What stands in the project's texts: addresses, links, and the tables of the documentation."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from entrypoint.errors import EXIT_CODES
from imagekit import errors
from imagekit.cli.main import VERBS
from imagekit.spec import reference, schema
from tests.golden.compare import check_golden
from tests.house.project import ROOT, files, project_files, relative

STANDARDS = {
    "docs.docker.com",
    "docs.nvidia.com",
    "github.com",
    "json-schema.org",
    "kubernetes.io",
    "protobuf.dev",
    "www.apache.org",
    "yaml.org",
}
"""Hosts that are only read about. No index, mirror or registry: those are the user's to name."""

RESERVED = ("example", "invalid", "localhost", "test", "example.com", "example.net", "example.org")
"""RFC 2606: names that nobody owns."""

EXCEPTIONS = {
    ".ci/run: docker.io",  # a package of Debian
    "sidecars/weights/hub.py: huggingface.co",  # what HF_ENDPOINT is where nobody sets it
    "imagekit/registry/reference.py: docker.io",  # where names without a host belong
}
"""By file. A name that only looks like a host: Debian's package of the Docker Engine."""

RESOURCES = {"amd.com", "nvidia.com"}
"""Half a name: Kubernetes calls a GPU `nvidia.com/gpu` or `amd.com/gpu`."""

URL = re.compile(r"https?://[^\s\"'<>`()\[\]\\,;]+")
PUBLIC_NAME = re.compile(r"(?<![\w.@/-])(?:[a-z0-9-]+\.)+(?:org|com|net|io|dev)(?![\w.-]|\()")
HOME = re.compile(r"(?<![\w.}])/(?:home|Users)/(?!task\b)\w+")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
DOCUMENT = re.compile(r"\bdocs/[\w/-]+\.md\b")
BEGIN, END = "<!-- made by `python -m imagekit.spec.reference` -->\n", "<!-- end -->"


def texts() -> list[tuple[str, str]]:
    """The project's files by path, but for keys and this list of hosts."""
    skipped = (".asc", ".pb", ".whl")
    return [
        (relative(path), path.read_text(encoding="utf-8"))
        for path in project_files()
        if path.suffix not in skipped and path != Path(__file__)
    ]


def is_reserved(host: str) -> bool:
    """Nobody's: reserved, the machine itself, or a placeholder."""
    loopback = host.startswith("127.") or host == "::1"
    return loopback or any(host == name or host.endswith(f".{name}") for name in RESERVED)


def host_of(url: str) -> str | None:
    """None for a placeholder, or what is no URL on purpose."""
    rest = urlsplit(url).netloc.rpartition("@")[2]
    if not rest or "{" in rest or rest.startswith("HOST"):
        return None
    return rest.partition(":")[0].rstrip(".")


def test_every_url_is_a_standards_or_nobodys() -> None:
    """No host of an index, mirror or registry is built in: users name their own."""
    foreign = {
        f"{path}: {host}"
        for path, text in texts()
        for url in URL.findall(text)
        if (host := host_of(url)) and "." in host
        if host not in STANDARDS and not is_reserved(host)
    }
    assert foreign - EXCEPTIONS == set()


def test_no_public_host_is_named_outside_urls_either() -> None:
    """Nor in a table, a test, or a comment."""
    foreign = {
        f"{path}: {name}"
        for path, text in texts()
        for name in PUBLIC_NAME.findall(text)
        if name not in STANDARDS | RESOURCES and not is_reserved(name)
    }
    assert foreign - EXCEPTIONS == set()


def test_no_path_of_somebodys_machine_is_left() -> None:
    """No home but that of an image's user, and no place of this checkout."""
    here = re.compile(rf"(?<![\w.]){re.escape(str(ROOT))}\b")
    found = [
        f"{path}: {place}"
        for path, text in texts()
        for pattern in (HOME, here)
        for place in pattern.findall(text)
    ]
    assert found == []


def test_no_lock_with_addresses_is_kept() -> None:
    """Where wheels came from on one machine is nothing for the next; neither are its pins'."""
    locks = [
        path for path in project_files() if re.fullmatch(r"(.*\.)?pylock(\..*)?\.toml", path.name)
    ]
    pins = files(".txt", "requirements")
    assert len(pins) >= 2
    told = [relative(path) for path in (*locks, *pins) if re.search(r"\w+://", path.read_text())]
    assert told == []


def test_links_lead_somewhere() -> None:
    """Relative links of the documentation, with their headings."""
    broken = []
    for page in files(".md"):
        for target in LINK.findall(page.read_text()):
            path, _, heading = target.partition("#")
            place = (page.parent / path).resolve() if path else page
            if urlsplit(target).scheme:
                continue
            if not place.exists() or (heading and heading not in headings(place)):
                broken.append(f"{relative(page)}: {target}")
    assert broken == []


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    titles = re.findall(r"^#+ +(.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_documents_that_code_and_settings_name_exist() -> None:
    """A hint that sends people to a page sends them to one."""
    missing = sorted(
        {
            f"{path}: {name}"
            for path, text in texts()
            for name in DOCUMENT.findall(text)
            if not (ROOT / name).exists()
        }
    )
    assert missing == []


def test_the_schema_is_the_one_of_the_fields() -> None:
    """What editors read is what the loader takes."""
    check_golden(ROOT / "imagekit/spec/schema.json", schema.dumps())


def test_the_reference_of_the_spec_is_the_one_of_the_fields() -> None:
    """Its tables are made, the words around them are not."""
    page = ROOT / "docs/reference/spec.md"
    before, _, rest = page.read_text().partition(BEGIN)
    assert rest.count(END) == 1
    check_golden(page, before + BEGIN + reference.markdown() + END + rest.partition(END)[2])


def test_the_reference_of_the_command_line_has_every_verb() -> None:
    """In the order of `imagekit --help`."""
    page = (ROOT / "docs/reference/cli.md").read_text()
    assert re.findall(r"^\| `imagekit (\w+)", page, re.MULTILINE) == list(VERBS)


def kinds_of(error: type[errors.ImagekitError]) -> set[int]:
    below = (
        kinds_of(kind) for kind in error.__subclasses__() if kind.__module__ == error.__module__
    )
    return {error.exit_code}.union(*below)


@pytest.mark.parametrize(
    ("page", "codes"),
    [
        ("cli", {0, 2, 130} | kinds_of(errors.ImagekitError)),
        ("entrypoint", set(EXIT_CODES.values())),
    ],
)
def test_the_reference_has_every_exit_code_and_no_other(page: str, codes: set[int]) -> None:
    """Scripts are written by them."""
    text = (ROOT / f"docs/reference/{page}.md").read_text()
    section = text.partition("## Exit codes")[2].partition("\n## ")[0]
    assert set(map(int, re.findall(r"^\| (\d+) ", section, re.MULTILINE))) == codes
