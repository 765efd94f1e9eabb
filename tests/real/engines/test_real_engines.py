# SPDX-License-Identifier: Apache-2.0
"""The same image, run by every engine."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imagekit.engines import Mount, output_directory, run_image
from imagekit.engines.copies import instead_of_mounts
from imagekit.engines.launch import Plan, launch
from imagekit.engines.users import find_identity
from imagekit.errors import EngineError
from imagekit.oci.assemble import Settings, assemble
from imagekit.oci.image import Image
from imagekit.oci.layout import read_layout, write_layout
from imagekit.oci.unpack import unpack
from tests.fakes.images import host_image

CHECKOUT = Path(__file__).parents[3]
ENGINES = [
    pytest.param("docker", marks=pytest.mark.docker),
    pytest.param("podman", marks=pytest.mark.podman),
    pytest.param("userns", marks=pytest.mark.userns),
    pytest.param("chroot", marks=pytest.mark.root),
]
OTHER = Settings(entrypoint=["/bin/sh", "-c", 'echo "$@"', "name"], command=["from", "cmd"])
every_engine = pytest.mark.parametrize("engine", ENGINES)


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("image")
    write_layout(host_image(folder), folder / "layout")
    yield folder / "layout"
    used = read_layout(folder / "layout")
    for image in (used, assemble(used, [], OTHER)):
        name = f"localhost/imagekit/run:{image.config_digest.removeprefix('sha256:')}"
        for program in filter(shutil.which, ("docker", "podman")):
            subprocess.run([program, "image", "rm", name], capture_output=True, check=False)


@pytest.fixture
def image(layout: Path) -> Image:
    return read_layout(layout)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "imagekit"


@pytest.fixture
def said(image: Image, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs a shell script in the image; gives the exit code and what it said on stdout."""

    def run(engine: str, script: str, **options: object) -> tuple[int, str]:
        capfd.readouterr()
        code = run_image(image, ["sh", "-c", script], engine=engine, **options)  # type: ignore[arg-type]
        return code, capfd.readouterr().out

    return run


Said = Callable[..., tuple[int, str]]


@every_engine
def test_the_exit_code_and_the_output_are_the_programs(engine: str, said: Said) -> None:
    """stdout comes untouched, and the exit code is passed on."""
    assert said(engine, r"printf 'one\r\ntwo'; exit 7") == (7, "one\r\ntwo")


@every_engine
def test_the_image_says_who_where_and_with_what(engine: str, said: Said) -> None:
    """User, groups, HOME, working directory and environment are the image's."""
    script = 'id -u; id -g; echo "$HOME $PWD $GREETING"'
    assert said(engine, script) == (0, "1000\n0\n/root /root hello\n")


@every_engine
def test_what_is_given_is_laid_over_the_image(engine: str, said: Said) -> None:
    """Variables and the working directory can be given; odd characters arrive."""
    options = {"environment": {"GREETING": "a b,\"c'\n$d"}, "workdir": "/etc"}
    assert said(engine, 'echo "$PWD"; echo "$GREETING"', **options) == (
        0,
        "/etc\na b,\"c'\n$d\n",
    )


@every_engine
def test_nothing_of_our_environment_gets_in(
    engine: str, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable of ours is not the program's."""
    monkeypatch.setenv("IMAGEKIT_TEST_SECRET", "secret")
    code, text = said(engine, "env")
    assert code == 0
    assert "IMAGEKIT_TEST_SECRET" not in text


@every_engine
def test_a_program_can_use_what_every_program_uses(engine: str, said: Said) -> None:
    """Devices, /proc, /tmp, /dev/shm and /etc/hosts are there; the home can be written."""
    script = (
        "set -e; echo x > /dev/null; cat /dev/null; ls /dev/urandom /dev/zero /dev/full >&2;"
        "ls -d /dev/shm; touch /dev/shm/a; cat /proc/self/comm; cat /dev/stdin < /etc/passwd"
        " > /dev/null; cat /etc/hosts > /dev/null; cat /etc/resolv.conf > /dev/null;"
        "echo mine > /root/notes; cat /root/notes"
    )
    assert said(engine, script) == (0, "/dev/shm\ncat\nmine\n")


@every_engine
def test_one_run_leaves_nothing_to_the_next(engine: str, said: Said, cache: Path) -> None:
    """What a program writes into its image is gone with it, and so are our folders."""
    assert said(engine, "echo changed > /root/notes; touch /root/new")[0] == 0
    assert said(engine, "cat /root/notes; ls /root") == (0, "from the image\nnotes\n")
    assert list((cache / "runs").iterdir()) == []


@every_engine
def test_outputs_come_back(engine: str, said: Said) -> None:
    """The image's user writes into the folder that is mounted for outputs."""
    with output_directory() as folder:
        mounts = [Mount(folder, "/outputs/here")]
        script = "mkdir /outputs/here/sub && echo 42 > /outputs/here/outputs.json"
        assert said(engine, script, mounts=mounts)[0] == 0
        assert (folder / "outputs.json").read_text() == "42\n"
        assert (folder / "sub").is_dir()


@every_engine
def test_a_read_only_mount_can_only_be_read(engine: str, said: Said, tmp_path: Path) -> None:
    """A folder with any name is seen, and keeps what it has."""
    folder = tmp_path / "in, put"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "file").write_text("given\n")
    mounts = [Mount(folder, "/in put", read_only=True)]
    script = "cat '/in put/file'; touch '/in put/new' 2>/dev/null && echo wrong"
    assert said(engine, script, mounts=mounts)[1] == "given\n"
    assert not (folder / "new").exists()


@every_engine
def test_stdin_is_the_programs(engine: str, layout: Path) -> None:
    """What we get on stdin, the program gets."""
    done = in_another_process(layout, engine, "cat").communicate(b"through", timeout=60)
    assert done[0] == b"through"


@every_engine
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_reach_the_program(engine: str, layout: Path, number: signal.Signals) -> None:
    """The program ends as it wants to when we are asked to end."""
    name = number.name.removeprefix("SIG")
    script = f"trap 'echo bye; exit 42' {name}; echo ready; while :; do sleep 0.1; done"
    process = in_another_process(layout, engine, script)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    text, _ = process.communicate(timeout=60)
    assert (process.returncode, text) == (42, b"bye\n")


@every_engine
def test_a_signal_that_ends_the_program_is_its_exit_code(engine: str, said: Said) -> None:
    """128 and the signal's number, as a shell says it."""
    assert said(engine, "sh -c 'kill -9 $$'")[0] == 137


@pytest.mark.parametrize("engine", ENGINES[2:])
def test_a_program_that_is_not_there_is_an_error(engine: str, image: Image) -> None:
    """The error names the program."""
    with pytest.raises(EngineError, match="starting '/no/program': No such file or directory"):
        run_image(image, ["/no/program"], engine=engine)


@pytest.mark.parametrize("engine", ENGINES[2:])
def test_a_program_for_another_machine_is_an_error(engine: str, image: Image) -> None:
    """The error says what the image is for."""
    with output_directory() as folder:
        (folder / "odd").write_bytes(b"\x7fELF\2\1\1" + b"\0" * 100)
        (folder / "odd").chmod(0o755)
        with pytest.raises(EngineError, match="the image is for linux/"):
            run_image(image, ["/in/odd"], engine=engine, mounts=[Mount(folder, "/in")])


@every_engine
def test_the_entrypoint_comes_before_the_arguments(
    engine: str, image: Image, capfd: pytest.CaptureFixture[str]
) -> None:
    """Arguments follow the ENTRYPOINT; without any the image's CMD does."""
    other = assemble(image, [], OTHER)
    capfd.readouterr()
    assert run_image(other, ["a", "b c"], engine=engine) == 0
    assert run_image(other, [], engine=engine) == 0
    assert capfd.readouterr().out == "a b c\nfrom cmd\n"


@pytest.mark.parametrize("engine", ENGINES[2:])
def test_an_image_without_a_command_is_an_error(engine: str, image: Image) -> None:
    """Nothing is made up where nothing is to be run."""
    with pytest.raises(EngineError, match="neither ENTRYPOINT nor CMD"):
        run_image(image, [], engine=engine)


@pytest.mark.docker
def test_an_image_is_loaded_once(image: Image) -> None:
    """A second run finds the image by its ID."""
    assert run_image(image, ["sh", "-c", ":"], engine="docker") == 0
    (gone,) = {layer.digest for layer in image.layers[:1]}
    missing = Image(
        image.manifest_bytes,
        image.config_bytes,
        tuple(layer for layer in image.layers if layer.digest != gone),
    )
    assert run_image(missing, ["sh", "-c", "exit 5"], engine="docker") == 5


@pytest.mark.userns
def test_the_program_dies_with_us(layout: Path) -> None:
    """Where we are killed the program ends too, and the next run cleans up."""
    with output_directory() as folder:
        script = "echo ready; while :; do echo x >> /out/beat; sleep 0.05; done"
        process = in_another_process(layout, "userns", script, str(folder))
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.kill()
        # This ends when nobody holds the other end of the pipe: the program is gone.
        assert process.communicate(timeout=60)[0] == b""
        runs = folder.parents[1]
        assert len(list(runs.iterdir())) == 2
        in_another_process(layout, "userns", ":").communicate(timeout=60)
        assert list(runs.iterdir()) == [folder.parent]


@pytest.mark.userns
def test_the_terminals_interrupt_comes_once(layout: Path) -> None:
    """At a terminal the program is in its foreground, and gets Ctrl-C by itself."""
    script = "trap 'echo interrupted' INT; echo ready; sleep 1; sleep 1; echo end"
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [sys.executable, "-c", PROGRAM, str(layout), "userns", script])
    text = b""
    with contextlib.suppress(OSError):
        while b"ready" not in text:
            text += os.read(terminal, 1000)
        os.write(terminal, b"\x03")
        while piece := os.read(terminal, 1000):
            text += piece
    _, status = os.waitpid(process, 0)
    os.close(terminal)
    assert text.count(b"interrupted") == 1
    assert text.rstrip().endswith(b"end")
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that an ordinary user reaches, unlike pytest's own, which it closes again and again."""
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, 65534, 65534)
        yield Path(folder)


@pytest.mark.userns
@pytest.mark.root
def test_an_ordinary_user_runs_an_image(layout: Path, open_folder: Path) -> None:
    """Without root, and with nothing but namespaces, everything in the image is the user's."""
    python = next(filter(_usable_by_anybody, (sys.executable, "/usr/bin/python3")), None)
    if python is None:
        pytest.skip("no interpreter that an ordinary user can start")
    shutil.copytree(layout, open_folder / "layout")
    script = "id -u; echo mine > /root/notes; cat /root/notes; cat /proc/self/uid_map"
    done = subprocess.run(
        [python, "-c", PROGRAM, str(open_folder / "layout"), "userns", script],
        user=65534,
        group=65534,
        extra_groups=[],
        cwd=CHECKOUT,
        env={
            "HOME": str(open_folder),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": ":".join(sys.path),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["1000", "mine", "1000", "65534", "1"], done.stderr


@pytest.mark.root
def test_where_nothing_can_be_mounted_a_plain_chroot_is_left(image: Image, tmp_path: Path) -> None:
    """Without any namespace the program still runs as the image's user, and outputs come back."""
    root, out = tmp_path / "root", tmp_path / "out"
    root.mkdir()
    out.mkdir()
    out.chmod(0o777)
    unpack(image, root)
    script = "echo x > /dev/null && id -u > /out/user && exit 9"
    plan = Plan(
        namespaces=False,
        user_namespace=False,
        root=str(root),
        overlay=None,
        identity=find_identity(root, "task"),
        workdir="/root",
        arguments=["/bin/sh", "-c", script],
        environment={"PATH": "/bin"},
    )
    with instead_of_mounts(root, [Mount(out, "/out")]):
        assert launch(plan, None, tmp_path) == 9
    assert (out / "user").read_text() == "1000\n"


PROGRAM = """
import pathlib, sys
from imagekit.engines import Mount, run_image
from imagekit.oci.layout import read_layout
layout, engine, script, *folders = sys.argv[1:]
mounts = [Mount(pathlib.Path(folder), "/out") for folder in folders]
sys.exit(run_image(read_layout(pathlib.Path(layout)), ["sh", "-c", script], engine=engine,
                   mounts=mounts))
"""


def in_another_process(layout: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(layout), *arguments],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def _usable_by_anybody(python: str) -> bool:
    try:
        done = subprocess.run(
            [python, "-c", "import isal"],
            user=65534,
            group=65534,
            env={"PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0
