# SPDX-License-Identifier: Apache-2.0
"""What the values of a spec have to satisfy, beyond their types.

One function per field, and one for what fields say about each other. All problems are found, not
the first one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from imagekit.spec.builder_rules import unasked_mirrors, unknown_builder, wrong_options
from imagekit.spec.contradictions import contradictions
from imagekit.spec.fields import FIELDS
from imagekit.spec.finding import Finding
from imagekit.spec.foreign_locks import is_lock
from imagekit.spec.model import ImageSpec
from imagekit.spec.parent import names_spec
from imagekit.spec.pip_args import UnknownArgumentError, uv_options
from imagekit.spec.plain import plain
from imagekit.urls import masked

# Repository names: OCI distribution-spec, "Pulling manifests", <name>.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
# Flyte's own rule for a registry, so that what it takes is taken here.
_REGISTRY = re.compile(r"(localhost:\d{1,5}|([a-z\d._-]+)(:\d{1,5})?)(/[\w.-]+)*")
_REPOSITORY = re.compile(rf"[A-Za-z\d.-]+(?::\d{{1,5}})?(?:/{_COMPONENT})+")
# HOST/NAME:TAG@DIGEST, roughly: imagekit.registry.reference reads it exactly when it is used.
_IMAGE = re.compile(
    r"(?:[\w.\[\]:-]+/)*[a-z0-9][\w.-]*(?::[\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?"
)
# Names: PyPA, "Names and normalization".
_DISTRIBUTION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_SURROGATE = re.compile("[\ud800-\udfff]")
_PYTHON = re.compile(r"3\.(\d{1,2})")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?")
_ACCOUNT = r"(?:\d{1,10}|[a-z_][a-z0-9_-]{0,31})"
_USER = re.compile(rf"{_ACCOUNT}(?::{_ACCOUNT})?")
# Debian Policy 5.6.1 and deb-version(7).
_DEBIAN = re.compile(r"[a-z0-9][a-z0-9+.-]+(?:=(?:\d+:)?[A-Za-z0-9.+~-]+)?")
_TAG = re.compile(r"\w[\w.-]{0,80}", re.ASCII)
_ONLY_IN_PYTHON = ("loaded_modules",)
_NAME_LIMIT = 255
_OLDEST_PYTHON = 10


def check(spec: ImageSpec) -> list[Finding]:
    """Everything that is wrong with the values of `spec`; empty when it can be built."""
    findings = [*_not_working(spec), *_half_characters(spec)]
    for name, rule in _RULES.items():
        value = getattr(spec, name)
        if value is not None:
            findings.extend(rule(value))
    findings.extend(_choices(spec))
    findings.extend(contradictions(spec))
    findings.extend(_of_locks(spec))
    findings.extend(_builder_options(spec))
    findings.extend(_plugins_and_cuda(spec))
    findings.extend(_between_fields(spec))
    return findings


def only_in_python(spec: ImageSpec) -> Iterator[Finding]:
    """What a YAML file can't ask for: it loads nothing."""
    if spec.source_copy_mode in _ONLY_IN_PYTHON:
        hint = "use all, or say the spec in Python: spec.py:NAME"
        message = "loaded_modules: a YAML file loads no modules"
        yield Finding("source_copy_mode", message, hint)


def not_supported(name: str) -> Finding:
    """The finding for a field that is known and does not work yet."""
    return Finding(name, f"{name} is not supported yet", FIELDS[name].doc or None)


def _half_characters(spec: ImageSpec) -> Iterator[Finding]:
    """Lone surrogates, which YAML can write and UTF-8 can't."""
    for known in FIELDS.values():
        for item, text in _texts_of(getattr(spec, known.name)):
            if _SURROGATE.search(text):
                message = f"{known.name}: {item[:80]!r} holds half a character"
                yield Finding(known.name, message, "leave the lone surrogate out", item=item)


def _texts_of(value: object) -> Iterator[tuple[str, str]]:
    """Every text of a field, behind the list item or mapping key that it belongs to."""
    if isinstance(value, str):
        yield value, value
    elif isinstance(value, Mapping):
        yield from ((key, f"{key}{text}") for key, text in value.items())
    elif isinstance(value, tuple):
        yield from ((each, each) for each in value if isinstance(each, str))


def _not_working(spec: ImageSpec) -> Iterator[Finding]:
    for known in FIELDS.values():
        if not known.works and getattr(spec, known.name) != known.default:
            yield not_supported(known.name)


def _choices(spec: ImageSpec) -> Iterator[Finding]:
    for known in FIELDS.values():
        value = getattr(spec, known.name)
        if not known.choices or value is None:
            continue
        allowed = " or ".join(known.choices)
        for word in value.split(",") if known.kind == "joined" else [value]:
            if word not in (*known.choices, *_ONLY_IN_PYTHON):
                message = f"{known.name} {word!r} is not supported"
                yield Finding(known.name, message, f"use {allowed}", item=word)


def _between_fields(spec: ImageSpec) -> Iterator[Finding]:
    if spec.matrix is not None:  # the loader has put those of files into specs of their own
        hint = "make one ImageSpec per image"
        yield Finding("matrix", "matrix: only a YAML file says several images", hint)
    mode = spec.source_copy_mode
    if mode not in (None, "no_copy") and spec.source_root is None:
        yield Finding("source_copy_mode", f"source_copy_mode: {mode} needs source_root")
    embedded = spec.base_image in (None, "debian")
    adds = bool(spec.apt_packages or spec.plugins)
    for option, message in unasked_mirrors(spec.builder_options, embedded=embedded, adds=adds):
        yield Finding("builder_options", message, item=option)


def _of_locks(spec: ImageSpec) -> Iterator[Finding]:
    """What chooses among the contents of a lock needs one."""
    locked = spec.requirements is not None and is_lock(PurePosixPath(spec.requirements).name)
    for name in ("extras", "groups"):
        if getattr(spec, name) and not locked:
            hint = "requirements: uv.lock"
            yield Finding(name, f"{name}: choose from a lock, and requirements names none", hint)


def _builder_options(spec: ImageSpec) -> Iterator[Finding]:
    for option, message, hint in wrong_options(spec.builder or "native", spec.builder_options):
        yield Finding("builder_options", message, hint, item=option)


def _plugins_and_cuda(spec: ImageSpec) -> Iterator[Finding]:
    """Looked at by modules of their own, which most specs don't need."""
    if spec.plugins:
        from imagekit.spec.plugins import wrong_plugins  # noqa: PLC0415

        for message, hint, name in wrong_plugins(spec):
            yield Finding("plugins", message, hint, item=name)
    said = (spec.cuda, spec.cudnn) != (None, None)
    if said or "{cuda}" in str(spec.pip_extra_index_url):
        from imagekit.spec.cuda import wrong_cuda  # noqa: PLC0415

        yield from (Finding(*wrong) for wrong in wrong_cuda(spec))


def _name(value: str) -> Iterator[Finding]:
    if not _NAME.fullmatch(value) or len(value) > _NAME_LIMIT:
        yield Finding(
            "name",
            f"name {value!r} is no repository name",
            "letters, digits and single . _ - between them; / between parts",
        )


def _registry(value: str) -> Iterator[Finding]:
    if not _REGISTRY.fullmatch(value):
        yield Finding(
            "registry", f"registry {value!r} is no registry", "write HOST[:PORT][/PATH], no scheme"
        )


def _python_version(value: str) -> Iterator[Finding]:
    match = _PYTHON.fullmatch(value)
    if match is None:
        hint = "write X.Y; the base brings the patch release"
        yield Finding("python_version", f"python_version {value!r} is not X.Y", hint)
    elif int(match[1]) < _OLDEST_PYTHON:
        yield Finding("python_version", f"python_version {value} is too old", "3.10 is the oldest")


def _base_image(value: str | ImageSpec) -> Iterator[Finding]:
    if isinstance(value, ImageSpec):
        for finding in check(value):
            yield Finding("base_image", f"base_image: {finding.message}", finding.hint)
        return
    if names_spec(value):
        return
    kind, _, place = value.partition(":")
    if kind in ("oci", "oci-archive") and place:
        return
    if not _IMAGE.fullmatch(value.removeprefix("docker://")):
        yield Finding(
            "base_image",
            f"base_image {value!r} is no image",
            "debian, oci:DIR[:REF], oci-archive:FILE[:REF], HOST/NAME[:TAG][@sha256:...], or "
            "the path of a spec",
        )


def _packages(value: Iterable[str]) -> Iterator[Finding]:
    for text in value:
        yield from _package(text)


def _package(text: str) -> Iterator[Finding]:
    if plain(text) is not None:
        return
    # It loads `packaging`, which most specs do without.
    from imagekit.spec.requirement import UnusableRequirementError  # noqa: PLC0415
    from imagekit.spec.source import requirement_name  # noqa: PLC0415

    try:
        requirement_name(text)
    except UnusableRequirementError as error:
        yield Finding("packages", error.message, error.hint, item=text)


def _allow_build(value: bool | Iterable[str]) -> Iterator[Finding]:
    for name in () if isinstance(value, bool) else value:
        if not _DISTRIBUTION.fullmatch(name):
            message = f"allow_build: {name!r} is no name of a distribution"
            yield Finding("allow_build", message, "names alone, no versions or URLs", item=name)


def _runtime_packages(value: Iterable[str]) -> Iterator[Finding]:
    for text in value:
        if text.startswith((".", "/", "git+")) or "@" in text:
            message = f"runtime_packages: {masked(text)!r} names no package of an index"
            hint = "containers install from an index: put it into packages"
            yield Finding("runtime_packages", message, hint, item=text)
        else:
            yield from (replace(each, field="runtime_packages") for each in _package(text))


def _requirements(value: str) -> Iterator[Finding]:
    name = PurePosixPath(value).name
    if is_lock(name) or name.endswith(".txt"):
        return
    hint = "take its uv.lock, poetry.lock, pylock.toml, or a requirements.txt"
    yield Finding("requirements", f"requirements {value!r} is of no kind that is read", hint)


def _index(field: str, value: str) -> Iterator[Finding]:
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = urlsplit("")
    usable = (parts.scheme in ("http", "https") and parts.hostname) or parts.scheme == "file"
    if not usable or any(character.isspace() for character in value):
        # The value itself may hold a password.
        message = f"{field} is not an http, https or file URL"
        yield Finding(field, message, item=value if field == "pip_extra_index_url" else None)


def _pip_extra_index_url(value: Iterable[str]) -> Iterator[Finding]:
    for url in value:
        yield from _index("pip_extra_index_url", url)


def _apt_packages(value: Iterable[str]) -> Iterator[Finding]:
    for text in value:
        name, colon, _ = text.partition("=")[0].partition(":")
        if colon and _DEBIAN.fullmatch(name):
            message = f"apt_packages: {text!r} names an architecture"
            yield Finding("apt_packages", message, f"write {name}: the platform says", item=text)
        elif not _DEBIAN.fullmatch(text):
            message = f"apt_packages: {text!r} is no package"
            yield Finding("apt_packages", message, "write NAME or NAME=VERSION", item=text)


def _commands(value: Iterable[str]) -> Iterator[Finding]:
    for text in value:
        if not text.strip() or "\0" in text:
            yield Finding("commands", f"commands: {text!r} is no command", item=text)


def _tag_format(value: str) -> Iterator[Finding]:
    if value.count("{spec_hash}") != 1 or not _TAG.fullmatch(value.replace("{spec_hash}", "0")):
        hint = "letters, digits, . _ and - around one {spec_hash}, at most 80"
        yield Finding("tag_format", f"tag_format {value!r} makes no tag", hint)


def _python_exec(value: str) -> Iterator[Finding]:
    path = PurePosixPath(value)
    if not path.is_absolute() or ".." in path.parts or "\0" in value:
        yield Finding("python_exec", f"python_exec {value!r} is not an absolute path without ..")


def _pip_extra_args(value: str) -> Iterator[Finding]:
    try:
        uv_options(value)
    except UnknownArgumentError as error:
        yield Finding("pip_extra_args", f"pip_extra_args: {error.message}", error.hint)


def _pip_secret_mounts(value: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    for source, target in value:
        path = PurePosixPath(target)
        if not source or not path.is_absolute() or ".." in path.parts or "\0" in source + target:
            message = f"pip_secret_mounts: {target!r} is no place for a file"
            hint = "write [FILE, /ABSOLUTE/PATH]"
            yield Finding("pip_secret_mounts", message, hint, item=target)


def _layer_cache(value: Iterable[str]) -> Iterator[Finding]:
    for text in value:
        if "/" not in text or not _REPOSITORY.fullmatch(text):
            message = f"layer_cache: {text!r} is no repository"
            yield Finding("layer_cache", message, "write HOST[:PORT]/NAME, no tag", item=text)


def _env(value: Mapping[str, str]) -> Iterator[Finding]:
    for name, text in value.items():
        if not _VARIABLE.fullmatch(name):
            yield Finding("env", f"{name!r} is no name for a variable", item=name)
        if "\0" in text:
            yield Finding("env", f"the value of {name} holds a NUL character", item=name)


def _labels(value: Mapping[str, str]) -> Iterator[Finding]:
    for name in value:
        if not _LABEL.fullmatch(name):
            yield Finding("labels", f"{name!r} is no name for a label", item=name)


def _source_root(value: str) -> Iterator[Finding]:
    if not value or "\0" in value:
        yield Finding("source_root", f"source_root {value!r} is no path")


def _copy(value: Iterable[str]) -> Iterator[Finding]:
    for text in value:
        path = PurePosixPath(text)
        if not text or "\0" in text:
            yield Finding("copy", f"copy: {text!r} is no path", item=text)
        elif path.is_absolute() or ".." in path.parts:
            hint = "write a path below the spec's folder, without .."
            yield Finding("copy", f"copy: {text!r} leaves the spec's folder", hint, item=text)


def _entrypoint(value: Iterable[str]) -> Iterator[Finding]:
    words = tuple(value)
    if words and not words[0]:
        yield Finding("entrypoint", "entrypoint: the first word names no program")
    if any("\0" in word for word in words):
        yield Finding("entrypoint", "entrypoint holds a NUL character")


def _user(value: str) -> Iterator[Finding]:
    if not _USER.fullmatch(value):
        hint = "write USER or USER:GROUP, names or numbers"
        yield Finding("user", f"user {value!r} is no user", hint)


def _workdir(value: str) -> Iterator[Finding]:
    path = PurePosixPath(value)
    if not path.is_absolute() or ".." in path.parts or "\0" in value:
        yield Finding("workdir", f"workdir {value!r} is not an absolute path without ..")


def _builder(value: str) -> Iterator[Finding]:
    said = unknown_builder(value)
    if said is not None:
        yield Finding("builder", *said)


_RULES: Mapping[str, Callable[[Any], Iterator[Finding]]] = {
    "name": _name,
    "registry": _registry,
    "python_version": _python_version,
    "base_image": _base_image,
    "packages": _packages,
    "allow_build": _allow_build,
    "requirements": _requirements,
    "pip_index": partial(_index, "pip_index"),
    "pip_extra_index_url": _pip_extra_index_url,
    "apt_packages": _apt_packages,
    "commands": _commands,
    "runtime_packages": _runtime_packages,
    "tag_format": _tag_format,
    "python_exec": _python_exec,
    "pip_extra_args": _pip_extra_args,
    "pip_secret_mounts": _pip_secret_mounts,
    "layer_cache": _layer_cache,
    "env": _env,
    "labels": _labels,
    "source_root": _source_root,
    "copy": _copy,
    "entrypoint": _entrypoint,
    "user": _user,
    "workdir": _workdir,
    "builder": _builder,
}
