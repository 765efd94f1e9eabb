# SPDX-License-Identifier: Apache-2.0
"""A page for each field of a spec: docs/reference/fields, made from the table of fields.

`make golden` writes them. What the table has no room for stands here: an example, and what of the
image the field changes.
"""

from __future__ import annotations

from collections.abc import Mapping

from imagekit.spec.fields import FIELDS, SpecField
from imagekit.spec.reference import kind_of
from imagekit.values import frozen


@frozen
class Page:
    """`example` is a spec, or the part of one; `changes` says what of the image follows."""

    example: str
    changes: str
    builders: str = "all"


_WHEELS = "one layer per wheel, and the lock"
_SETTINGS = "the configuration; no layer"

PAGES: Mapping[str, Page] = {
    "allow_build": Page(
        "packages: [docopt]\nallow_build: true", "wheels that are built here; the lock"
    ),
    "apt_packages": Page("apt_packages: [git, libgomp1]", "layers of Debian packages; the lock"),
    "base_image": Page(
        "base_image: registry.example/python:3.11", "every layer below ours; the lock"
    ),
    "builder": Page("builder: docker", "who writes the layers, so the tag"),
    "builder_options": Page(
        "builder: docker\nbuilder_options: {network: host}", "nothing, but for mirrors of Debian"
    ),
    "commands": Page(
        "commands: [mkdir -p /data]",
        "one layer on top, which is not reproducible",
        "all; on a base that is a spec with `commands` of its own, `native` alone",
    ),
    "compile_bytecode": Page("compile_bytecode: false", "the layers of wheels and the runtime"),
    "copy": Page("source_root: .", "one layer of all copied files"),
    "cuda": Page(
        'cuda: "12.6"\npackages: [torch]',
        "which versions are locked; variables, in the configuration",
    ),
    "cudnn": Page('cuda: "12.6"\ncudnn: "9"', "which packages are locked"),
    "entrypoint": Page('entrypoint: ["/bin/sh", "-c"]', _SETTINGS),
    "env": Page("env: {MODE: fast}", _SETTINGS),
    "extras": Page("", "which of a lock's packages are taken"),
    "groups": Page("", "which of a lock's packages are taken"),
    "labels": Page("labels: {org.opencontainers.image.licenses: MIT}", _SETTINGS),
    "layer_cache": Page(
        "layer_cache: [registry.example/team/layers]",
        "nothing: only where its layers come from",
        "`native`",
    ),
    "matrix": Page('matrix: {python_version: ["3.11", "3.13"]}', "how many images one file makes"),
    "name": Page("name: team/train", "its name; neither layer nor tag"),
    "object_storage": Page("object_storage: false", _WHEELS),
    "packages": Page('packages: ["scikit-learn>=1.5", pandas]', _WHEELS),
    "pip_extra_args": Page('pip_extra_args: "--pre"', "which versions are locked"),
    "pip_extra_index_url": Page(
        "pip_extra_index_url: [https://index.example/simple]", "which versions are locked"
    ),
    "pip_index": Page("pip_index: https://index.example/simple", "which versions are locked"),
    "pip_secret_mounts": Page(
        "",
        "nothing: secrets are in no layer, lock, cache or log",
        "all but `envd`, which can't mount secrets",
    ),
    "platform": Page("platform: [linux/amd64, linux/arm64]", "one image each; the lock"),
    "plugins": Page("plugins: [duckdb]", "packages, Debian packages and variables of each"),
    "python_exec": Page(
        "base_image: registry.example/conda:1\npython_exec: /opt/conda/bin/python",
        "the interpreter that `/opt/venv` stands on; the lock",
    ),
    "python_version": Page('python_version: "3.13"', "the base, every wheel, the lock"),
    "registry": Page("registry: registry.example/team", "its name; neither layer nor tag"),
    "requirements": Page("", _WHEELS),
    "runtime_packages": Page(
        "runtime_packages: [iniconfig]", "the configuration, the lock; uv among the packages"
    ),
    "source_copy_mode": Page("source_copy_mode: no_copy", "whether there is a layer of source"),
    "source_root": Page("source_root: .", "one layer of source"),
    "tag_format": Page('tag_format: "main-{spec_hash}"', "the tag; nothing that is in the image"),
    "user": Page('user: "1000:0"', _SETTINGS),
    "workdir": Page("workdir: /work", "the configuration, and where source and copies land"),
}
"""By field; fields that do not work yet have no page. Examples that need files are empty."""


def pages() -> dict[str, str]:
    """The text of each page, by the name of its file."""
    found = {f"{name}.md": _page(FIELDS[name], PAGES.get(name)) for name in FIELDS}
    return {"README.md": _index(), **found}


def _index() -> str:
    lines = [f"- [`{name}`]({name}.md)" for name in sorted(FIELDS)]
    return "# Fields of a spec\n\nA page for each; [all in one table](../spec.md).\n\n" + (
        "\n".join(lines) + "\n"
    )


def _page(field: SpecField, page: Page | None) -> str:
    lines = [f"# {field.name}", ""]
    if not field.works:
        lines += ["Known, and refused by name."]
        lines += ["", f"Instead: {field.doc}."] if field.doc else []
        return "\n".join(lines) + "\n"
    shown = str(field.default).lower() if isinstance(field.default, bool) else field.default
    lines += [
        field.doc.replace("](", "](../"),
        "",
        f"- type: {kind_of(field)}",
        f"- default: {f'`{shown}`' if shown else 'none'}",
    ]
    if page is not None:
        lines += [f"- changes of the image: {page.changes}", f"- builders: {page.builders}"]
        if page.example:
            lines += ["", "```yaml", page.example, "```"]
    return "\n".join(lines) + "\n"
