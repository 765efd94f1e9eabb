# SPDX-License-Identifier: Apache-2.0
"""Stands for `docker` with buildx before an engine's own BuildKit, for builders that ask for it.

It is run, never imported. BENCH_DOCKER is a docker client, BENCH_BASE an image with uv at /uv.
`docker build` and `docker buildx build` become a build of the same context by the engine, and a
push where `--push` asks for one. Of the Dockerfile two things are changed: the line that names
another frontend goes, and stages which only bring uv or micromamba stand on BENCH_BASE, because
neither can be pulled here.
"""

import os
import re
import subprocess
import sys

_STAGE = re.compile(r"^FROM \S+ (as|AS) (uv|micromamba)$", re.MULTILINE)
_FRONTEND = re.compile(r"^# ?syntax=.*\n")


def main(words: "list[str]") -> int:
    program = os.environ["BENCH_DOCKER"]
    if words[:1] == ["buildx"]:
        words = words[1:]
        if words[0] == "imagetools":
            sys.stderr.write("not found\n")
            return 1
        if words[0] != "build":
            return 0
    if words[:1] != ["build"]:
        return subprocess.run([program, *words], check=False).returncode
    return build(program, words[1:])


def build(program: str, words: "list[str]") -> int:
    tags = [words[at + 1] for at, word in enumerate(words) if word == "--tag"]
    rewrite(os.path.join(words[-1], "Dockerfile"))
    command = [program, "build", "--quiet", "--network=host"]
    command += [f"--tag={tag}" for tag in tags]
    environ = {**os.environ, "DOCKER_BUILDKIT": "1"}
    code = subprocess.run([*command, words[-1]], env=environ, check=False).returncode
    if code or "--push" not in words:
        return code
    return max(
        subprocess.run([program, "push", "--quiet", x], check=False).returncode for x in tags
    )


def rewrite(path: str) -> None:
    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    text = _STAGE.sub(rf"FROM {os.environ['BENCH_BASE']} AS \2", _FRONTEND.sub("", text))
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
