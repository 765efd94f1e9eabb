# SPDX-License-Identifier: Apache-2.0
"""What an image is asked to be: one frozen value.

Task code imports this inside images, so it is standard library alone and checks no more than
types; `imagekit.spec.rules` holds what the values have to satisfy before they are built.

The dataclass is also the one table of fields: its metadata drives the loader, the JSON Schema and
the reference. Names and meaning follow Flyte's ImageSpec where both have a field.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from imagekit.errors import Problem, SpecError
from imagekit.spec.frozen import FREEZE, FrozenMap, Kind

PLATFORMS = ("linux/amd64", "linux/arm64")
COPY_MODES = ("all", "no_copy", "loaded_modules")


def _about(
    kind: Kind, doc: str, *, choices: Sequence[str] = (), unordered: bool = False
) -> Mapping[str, Any]:
    return {"kind": kind, "doc": doc, "choices": choices, "unordered": unordered, "works": True}


def _later(kind: Kind, instead: str = "") -> Mapping[str, Any]:
    """A field that is known and refused; `instead` says what does the same today."""
    return {"kind": kind, "doc": instead, "choices": (), "unordered": False, "works": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpec:
    """What an image is asked to be. Lists and dicts are taken and kept as immutable copies.

    The order of `packages` and of mappings does not matter: specs that differ in it are equal.

    Raises:
        SpecError: a value has the wrong type.
    """

    name: str = field(
        default="imagekit",
        metadata=_about("text", "Repository name of the image, lower-cased; may hold `/`."),
    )
    registry: str | None = field(
        default=None,
        metadata=_about("text", "What stands before the name, such as `registry.example/team`."),
    )
    tag_format: str | None = field(
        default=None,
        metadata=_about(
            "text", "What the image's tag looks like: `main-{spec_hash}`; default `{spec_hash}`."
        ),
    )
    python_version: str | None = field(
        default=None,
        metadata=_about(
            "text",
            "`X.Y`. Left out: 3.11 on the embedded base, the base's own interpreter on another; "
            "never the version that happens to build.",
        ),
    )
    python_exec: str | None = field(
        default=None,
        metadata=_about(
            "text",
            "Absolute path of the base's interpreter that the environment stands on; left out, "
            "the first `python3` on the base's PATH.",
        ),
    )
    base_image: str | ImageSpec | None = field(
        default=None,
        metadata=_about(
            "text",
            "`debian` (default), the embedded base; `HOST/NAME[:TAG][@DIGEST]`, an image in a "
            "registry; `oci:DIR[:REF]`, one in an OCI layout folder; `oci-archive:FILE[:REF]`, the "
            "same as a tar file; `FILE.yaml[:NAME]` or `FILE.py:NAME`, another spec (in Python an "
            "ImageSpec too). Paths are relative to the spec; the lock pins the digest.",
        ),
    )
    platform: str = field(
        default=PLATFORMS[0],
        metadata=_about(
            "joined",
            "What the image runs on; of several, as a list or with commas between them, one image "
            "each is built, and an index that names them.",
            choices=PLATFORMS,
        ),
    )
    packages: Sequence[str] = field(
        default=(),
        metadata=_about(
            "texts", "Python requirements (PEP 508). Order does not matter.", unordered=True
        ),
    )
    plugins: Sequence[str] = field(
        default=(),
        metadata=_about(
            "texts",
            "Plugins whose packages, Debian packages and variables are added; `imagekit plugins` "
            "lists them. Order does not matter. See [plugins](plugins.md).",
            unordered=True,
        ),
    )
    requirements: str | None = field(
        default=None,
        metadata=_about(
            "text",
            "A requirements.txt, uv.lock, poetry.lock or pylock.toml, relative to the spec; added "
            "to `packages`.",
        ),
    )
    extras: Sequence[str] = field(
        default=(),
        metadata=_about(
            "texts", "Extras of the project whose lock `requirements` is.", unordered=True
        ),
    )
    groups: Sequence[str] = field(
        default=(),
        metadata=_about(
            "texts",
            "Dependency groups of the project whose lock `requirements` is; none unasked.",
            unordered=True,
        ),
    )
    runtime_packages: Sequence[str] = field(
        default=(),
        metadata=_about(
            "texts",
            "Packages that a container installs before its task, and no layer has. The lock holds "
            "each with its hash: these very files are installed, or the task does not start. Adds "
            "`uv` to the packages, unless they have uv or pip.",
            unordered=True,
        ),
    )
    object_storage: bool = field(
        default=True,
        metadata=_about(
            "flag",
            "`true` adds `obstore` to the packages, by which tasks read and write `s3`, `gs` and "
            "`az`; `false` leaves it out.",
        ),
    )
    allow_build: bool | Sequence[str] = field(
        default=False,
        metadata=_about(
            "flag_or_texts",
            "Whether packages without a wheel, folders, archives and git repositories are built on "
            "this machine, which runs their code: `true`, or names. See [the lock](lock.md).",
        ),
    )
    pip_index: str | None = field(
        default=None, metadata=_about("text", "URL of the package index that replaces the default.")
    )
    pip_extra_index_url: Sequence[str] = field(
        default=(),
        metadata=_about(
            "texts",
            "URLs of further indexes, asked in this order before the default one; `{cuda}` in "
            "them stands for such as `cu126`.",
        ),
    )
    pip_extra_args: str | None = field(
        default=None,
        metadata=_about(
            "text",
            "Options of pip that decide what is resolved, such as `--pre`, `--find-links` and "
            "`--index-strategy`; of others the error says which field does it.",
        ),
    )
    pip_secret_mounts: Sequence[tuple[str, str]] = field(
        default=(),
        metadata=_about(
            "pairs",
            "Files of this machine, each with an absolute path in the image: `[netrc, "
            "/root/.netrc]`. They are there while `commands` run, and no layer has them; a netrc "
            "and a uv.toml also say how packages are found.",
        ),
    )
    layer_cache: Sequence[str] = field(
        default=(),
        metadata=_about(
            "texts",
            "Repositories (`HOST/NAME`) whose layers are believed: fetched or mounted, not made. A "
            "push records its layers in the first one. `IMAGEKIT_LAYER_CACHE` replaces them.",
        ),
    )
    cuda: str | None = field(
        default=None,
        metadata=_about(
            "text",
            "`X.Y`: the CUDA of the image, from its base or from NVIDIA's wheels; packages are "
            "taken in versions built for it. See [CUDA](cuda.md).",
        ),
    )
    cudnn: str | None = field(
        default=None, metadata=_about("text", "Major version of cuDNN, where `cuda` is set.")
    )
    env: Mapping[str, str] = field(
        default=FrozenMap(), metadata=_about("mapping", "Environment variables of the image.")
    )
    source_root: str | None = field(
        default=None,
        metadata=_about(
            "text", "Folder with the tasks' code, relative to the spec; lands in the workdir."
        ),
    )
    source_copy_mode: str | None = field(
        default=None,
        metadata=_about(
            "text",
            "`all` (default when `source_root` is set) copies the folder, `no_copy` does not; in "
            "Python also `loaded_modules`: the modules alone that the spec's code has loaded.",
            choices=COPY_MODES[:2],
        ),
    )
    copy: Sequence[str] = field(
        default=(),
        metadata=_about(
            "texts",
            "Further files and folders, relative to the spec; they keep their relative path "
            "below the workdir.",
            unordered=True,
        ),
    )
    entrypoint: Sequence[str] | None = field(
        default=None,
        metadata=_about("texts", "Replaces our own ENTRYPOINT; `[]` leaves the image without one."),
    )
    user: str | None = field(
        default=None,
        metadata=_about("text", "`USER[:GROUP]`, names or numbers; default 1000, group 0."),
    )
    workdir: str | None = field(
        default=None, metadata=_about("text", "Absolute path; default `/root`.")
    )
    labels: Mapping[str, str] = field(
        default=FrozenMap(), metadata=_about("mapping", "Labels of the image's configuration.")
    )
    matrix: Any = field(
        default=None,
        metadata=_about(
            "matrix",
            "Several images in one file: fields with the values that they take, `include` and "
            "`exclude`. See [matrix](matrix.md). In Python, write one ImageSpec per image.",
        ),
    )

    apt_packages: Sequence[str] = field(
        default=(),
        metadata=_about(
            "texts",
            "Packages of the base's own Debian release, as `name` or `name=version`; with what "
            "they depend on, without what they recommend. Order does not matter.",
            unordered=True,
        ),
    )
    commands: Sequence[str] = field(
        default=(),
        metadata=_about(
            "texts",
            "Shell commands that are run in the image as root, after everything else is in it, "
            "in one `sh -c`, as long as they go well. Their layer is not reproducible.",
        ),
    )
    compile_bytecode: bool = field(
        default=True,
        metadata=_about("flag", "`false` leaves the .pyc files out: smaller, and slower to start."),
    )
    builder: str | None = field(
        default=None,
        metadata=_about(
            "text",
            "Who builds: `native` (default), `docker`, `buildkit`, `envd`, `prebuilt`, `auto`: "
            "builders.md.",
        ),
    )
    builder_options: Mapping[str, str] = field(
        default=FrozenMap(),
        metadata=_about(
            "mapping",
            "Options of the builder; see builders.md. Of all: `debian_mirror` and "
            "`debian_security_mirror`, where the embedded base and `apt_packages` come from, and "
            "`ubuntu_mirror` and `ubuntu_security_mirror` for bases of Ubuntu.",
        ),
    )

    builder_config: Mapping[str, str] = field(
        default=FrozenMap(), metadata=_later("mapping", "leave it out: uv comes from no image here")
    )
    conda_channels: Sequence[str] = field(default=(), metadata=_later("texts", "use packages"))
    conda_packages: Sequence[str] = field(default=(), metadata=_later("texts", "use packages"))
    registry_config: str | None = field(
        default=None,
        metadata=_later("text", "a registry's CA and client certificate: /etc/docker/certs.d/HOST"),
    )

    def __post_init__(self) -> None:
        problems = []
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if value is each.default or isinstance(value, ImageSpec):
                continue
            try:
                frozen = FREEZE[each.metadata["kind"]](value)
            except TypeError as error:
                problems.append(Problem(f"{each.name}: {error}"))
                continue
            if each.metadata["unordered"]:
                frozen = tuple(sorted(set(frozen)))
            object.__setattr__(self, each.name, frozen)
        if problems:
            raise SpecError("ImageSpec", problems)
        object.__setattr__(self, "name", self.name.lower())
        if self.registry is not None:
            object.__setattr__(self, "registry", self.registry.lower())

    @classmethod
    def from_env(cls, *, pinned_packages: Sequence[str] = (), **members: Any) -> ImageSpec:
        """A spec for this interpreter's Python, with packages in the versions installed here.

        Raises:
            SpecError: `python_version` is given too.
            PackageNotFoundError: one of them is not installed.
        """
        from importlib.metadata import version  # noqa: PLC0415 - no task start needs it

        if "python_version" in members:
            raise SpecError("ImageSpec", [Problem("from_env takes this Python's own version")])
        pins = [f"{name}=={version(name)}" for name in pinned_packages]
        packages = [*members.pop("packages", ()), *pins]
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        return cls(python_version=python, packages=packages, **members)

    def with_packages(self, packages: str | Sequence[str]) -> ImageSpec:
        """The same with further Python requirements. All of these leave this spec as it is."""
        return dataclasses.replace(self, packages=[*self.packages, *_several(packages)])

    def with_apt_packages(self, packages: str | Sequence[str]) -> ImageSpec:
        return dataclasses.replace(self, apt_packages=[*self.apt_packages, *_several(packages)])

    def with_commands(self, commands: str | Sequence[str]) -> ImageSpec:
        """The same with further commands, run after those that it has."""
        return dataclasses.replace(self, commands=[*self.commands, *_several(commands)])

    def with_copy(self, paths: str | Sequence[str]) -> ImageSpec:
        return dataclasses.replace(self, copy=[*self.copy, *_several(paths)])

    def with_runtime_packages(self, packages: str | Sequence[str]) -> ImageSpec:
        found = [*self.runtime_packages, *_several(packages)]
        return dataclasses.replace(self, runtime_packages=found)

    def with_builder_options(self, options: Mapping[str, str]) -> ImageSpec:
        """The same with these options laid over those that it has."""
        return dataclasses.replace(self, builder_options={**self.builder_options, **options})

    @property
    def platforms(self) -> tuple[str, ...]:
        """Each platform once, whatever order they were named in."""
        return tuple(self.platform.split(","))

    @property
    def copies_source(self) -> bool:
        return self.source_root is not None and self.source_copy_mode != "no_copy"


def _several(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else value
