# SPDX-License-Identifier: Apache-2.0
"""Runs inside an image, as its user: prints a JSON object, check -> what is wrong with it."""

import base64
import ctypes.util
import hashlib
import importlib
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import ssl
import subprocess
import sys
import sysconfig

SITE = pathlib.Path(sysconfig.get_path("purelib"))


def requirements() -> "list[str]":
    done = subprocess.run(
        [sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False
    )
    return [] if done.returncode == 0 else done.stdout.splitlines()


def imports() -> "list[str]":
    """Every top-level module of every distribution."""
    problems = []
    for name in sorted(importlib.metadata.packages_distributions()):
        if not name.isidentifier():
            continue
        try:
            importlib.import_module(name)
        except (ImportError, OSError, AttributeError, RuntimeError, ValueError) as error:
            problems.append(f"{name}: {error!r}")
    return problems


def records() -> "list[str]":
    """Every RECORD is true, and together they name every file but bytecode."""
    problems = []
    recorded = set()
    for distribution in importlib.metadata.distributions(path=[str(SITE)]):
        for entry in distribution.files or ():
            path = pathlib.Path(os.path.normpath(str(entry.locate())))
            recorded.add(path)
            if not path.is_file():
                problems.append(f"missing: {path}")
            elif entry.hash is not None:
                digest = hashlib.new(entry.hash.mode, path.read_bytes()).digest()
                if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != entry.hash.value:
                    problems.append(f"other bytes: {path}")
    present = {path for path in SITE.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    return problems + [f"in no RECORD: {path}" for path in sorted(present - recorded)]


def bytecode() -> "list[str]":
    """Every module has its .pyc (those that don't compile have none), and imports take them."""
    problems = []
    for path in SITE.rglob("*.py"):
        if not os.path.exists(importlib.util.cache_from_source(str(path))):
            try:
                compile(path.read_bytes(), str(path), "exec")
            except (SyntaxError, ValueError):
                continue
            problems.append(f"no bytecode: {path}")
    command = [sys.executable, "-v", "-c", f"import {sys.argv[1]}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stderr.splitlines() if line.startswith("# code object from")]
    if len(lines) < 100:
        problems.append(f"only {len(lines)} modules were loaded")
    return problems + [line for line in lines if line.endswith((".py'", ".py"))]


def system() -> "list[str]":
    """What programs expect of any system."""
    problems = []
    if ctypes.util.find_library("c") is None:
        problems.append("ctypes.util.find_library finds no libc")
    if subprocess.run("exit 7", shell=True, check=False).returncode != 7:
        problems.append("subprocess(shell=True)")
    if subprocess.check_output(["sh", "-c", "command -v python"]) != b"/opt/venv/bin/python\n":
        problems.append("python on PATH is not the environment's")
    if not ssl.create_default_context().get_ca_certs():
        problems.append("no CA certificates")
    if (os.getuid(), os.getgid()) != (1000, 0):
        problems.append(f"runs as {os.getuid()}:{os.getgid()}")
    if os.path.expanduser("~") != "/root" or os.getcwd() != "/root":
        problems.append("neither at home nor in it")
    pathlib.Path("/root/written").write_text("by anybody")
    return problems


def main() -> None:
    checks = (requirements, imports, records, bytecode, system)
    json.dump({check.__name__: check() for check in checks}, sys.stdout)


main()
