# SPDX-License-Identifier: Apache-2.0
"""Where an image's CUDA comes from, what can't run, and what ships twice."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping

import pytest

from imagekit.bases import cuda as table
from imagekit.errors import LockError
from imagekit.layers.venv import Venv
from imagekit.lock.cuda import check, choose, of_environment, tell
from imagekit.lock.model import Lock, LockedWheel, Target
from imagekit.planning.cuda import listed, with_cuda
from imagekit.spec.complete import completed
from imagekit.spec.model import ImageSpec

PLAIN = {"kind": "debian"}
VARIABLES = (
    "PATH=/usr/local/nvidia/bin:/usr/local/cuda/bin:/usr/bin",
    "NVIDIA_REQUIRE_CUDA=cuda>=12.6 brand=tesla,driver>=470,driver<471",
    "CUDA_VERSION=12.6.3",
    "NV_CUDA_LIB_VERSION=12.6.3-1",
    "NV_CUDNN_VERSION=9.5.1.17-1",
    "LD_LIBRARY_PATH=/usr/local/nvidia/lib:/usr/local/nvidia/lib64",
)
HELD = {"kind": "oci", "cuda": of_environment(VARIABLES)}
VENV = Venv("/usr/bin/python3", "3.11.2")


def wheel(name: str, version: str, size_bytes: int = 1000) -> LockedWheel:
    return LockedWheel(name, version, f"{name}-{version}-py3-none-any.whl", "0" * 64, size_bytes)


TORCH_12 = (
    wheel("nvidia-cublas-cu12", "12.6.4.1", 393),
    wheel("nvidia-cuda-runtime-cu12", "12.6.77", 7),
    wheel("nvidia-cusparselt-cu12", "0.6.3", 156),
    wheel("torch", "2.7.1", 821),
)
TORCH_13 = (wheel("nvidia-cuda-runtime", "13.2.86"), wheel("torch", "2.15.0"))


def test_a_base_says_itself_what_it_holds() -> None:
    """By the variables that NVIDIA's images have: version, flavour, cuDNN, library path."""
    assert HELD["cuda"] == {
        "version": "12.6.3",
        "flavour": "runtime",
        "cudnn": "9.5.1.17-1",
        "library-path": "/usr/local/nvidia/lib:/usr/local/nvidia/lib64",
    }
    assert of_environment(["CUDA_VERSION=12.6.3"]) == {"version": "12.6.3", "flavour": "base"}
    devel = of_environment([*VARIABLES, "NV_CUDA_CUDART_DEV_VERSION=12.6.77-1"])
    assert devel is not None
    assert devel["flavour"] == "devel"
    assert of_environment(["PATH=/usr/bin", "CUDA_VERSION="]) is None


def test_on_a_plain_base_wheels_bring_it() -> None:
    """The runtime, and cuDNN where it is asked for; no wheel for another CUDA can be taken."""
    choice = choose(ImageSpec(cuda="12.6", cudnn="9"), PLAIN)
    assert choice.packages == ("nvidia-cuda-runtime-cu12==12.6.*", "nvidia-cudnn-cu12==9.*")
    assert {
        "nvidia-cuda-runtime-cu11<0",
        "nvidia-cuda-runtime<0",
        "nvidia-cuda-runtime-cu12==12.6.*",
        "torch>=2.0",
    } <= set(choice.constraints)
    assert choose(ImageSpec(), PLAIN) == choose(ImageSpec(), HELD)


def test_a_base_that_holds_it_needs_nothing_added() -> None:
    """Packages are held to its version all the same; cuDNN comes by wheel if it has another."""
    choice = choose(ImageSpec(cuda="12.6", cudnn="9"), HELD)
    assert choice.packages == ()
    assert choice.constraints
    assert choose(ImageSpec(cuda="12.6", cudnn="8"), HELD).packages == ("nvidia-cudnn-cu12==8.*",)
    with pytest.raises(LockError, match=r"cuda is 12\.4, and base_image holds CUDA 12\.6\.3"):
        choose(ImageSpec(cuda="12.4"), HELD)


@pytest.mark.parametrize(
    ("spec", "base"), [(ImageSpec(), HELD), (ImageSpec(cuda="12.6"), PLAIN)], ids=["base", "field"]
)
def test_what_the_drivers_of_a_base_cannot_run_is_refused(
    spec: ImageSpec, base: Mapping[str, object]
) -> None:
    """CUDA 13 needs driver 580, and 525 is enough for 12."""
    check(spec, base, TORCH_12)
    with pytest.raises(LockError) as caught:
        check(spec, base, TORCH_13)
    message = caught.value.message
    assert message.startswith("torch 2.15.0 with nvidia-cuda-runtime 13.2.86 is built for CUDA 13")
    assert "a driver from 525 on runs that, and CUDA 13 needs 580" in message
    local = (wheel("torch", "2.9.0+cu130"),)
    with pytest.raises(LockError, match="built for CUDA 13"):
        check(spec, base, local)
    check(ImageSpec(), PLAIN, TORCH_13)


@pytest.mark.parametrize("release", table.releases().values(), ids=lambda each: each.version)
def test_each_pair_of_base_and_wheels_has_its_verdict(release: table.Release) -> None:
    """Wheels of a later major version are refused, of the same or an earlier one taken."""
    base = {"kind": "oci", "cuda": {"version": release.release, "flavour": "runtime"}}
    for major, other in itertools.product(table.majors().values(), table.releases().values()):
        if other.major != major:
            continue
        wheels = (wheel(major.runtime, f"{other.version}.1"),)
        if major.number > release.major.number:
            with pytest.raises(LockError):
                check(ImageSpec(), base, wheels)
        else:
            check(ImageSpec(), base, wheels)


def test_what_ships_twice_is_told_with_its_bytes() -> None:
    """Of the wheels only what the base holds too: its flavour has no cuSPARSELt."""
    told = tell(ImageSpec(cuda="12.6"), HELD, TORCH_12)
    assert told is not None
    assert (told.origin, told.version) == ("base", "12.6.3")
    assert (told.wheels_bytes, told.twice_bytes) == (556, 400)
    (warning,) = told.warnings
    assert warning.startswith("CUDA ships twice: the base holds 12.6.3, and nvidia-cublas-cu12, ")
    assert "nvidia-cuda-runtime-cu12 bring 400 B of it again; a base without CUDA" in warning
    plain = tell(ImageSpec(cuda="12.6"), PLAIN, TORCH_12)
    assert plain is not None
    assert plain.warnings == ()
    assert plain.explanation == (
        "12.6 from 3 nvidia-* wheels (556 B), as the base holds none; runs with drivers from 525 "
        "on, all of its features from 560.28.03 on"
    )


def test_two_versions_in_one_image_are_told() -> None:
    """Nobody wants them, and each package asked for its own."""
    told = tell(ImageSpec(), PLAIN, (*TORCH_12, *TORCH_13))
    assert told is not None
    assert told.warnings == (
        "the packages bring CUDA 12 and 13: the image holds the libraries of each",
    )
    assert told.driver == "580"
    assert tell(ImageSpec(), PLAIN, (wheel("numpy", "2.1"), wheel("nvidia-ml-py", "13.1"))) is None


def lock_of(base: Mapping[str, object], *wheels: LockedWheel) -> Lock:
    target = Target("linux/amd64", "3.11.2", "/usr/bin/python3", "2.36")
    return Lock("", target, base, wheels, None, "")


def test_variables_are_those_of_nvidias_images() -> None:
    """The loader is told of the wheels' libraries, and the driver's come before."""
    wheels = (*TORCH_12, wheel("nvidia-nvtx", "13.1"), wheel("nvidia-cudnn-cu12", "9.1"))
    lock = lock_of(PLAIN, *wheels)
    (step,) = listed(lock, VENV)
    site = "/opt/venv/lib/python3.11/site-packages/nvidia"
    names = ("cu13", "cublas", "cuda_runtime", "cudnn", "cusparselt")
    assert step.folders == tuple(f"{site}/{name}/lib" for name in names)
    assert "torch" not in {each.name for each in step.wheels}
    env = with_cuda({"PATH": "/opt/venv/bin:/usr/bin"}, lock, VENV, "12.6", [step])
    assert env == {
        "PATH": "/opt/venv/bin:/usr/local/nvidia/bin:/usr/local/cuda/bin:/usr/bin",
        "NVIDIA_VISIBLE_DEVICES": "all",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        "NVIDIA_REQUIRE_CUDA": "cuda>=12.0",
        "LD_LIBRARY_PATH": "/usr/local/nvidia/lib:/usr/local/nvidia/lib64",
    }


def test_folders_that_no_step_tells_of_are_in_a_variable() -> None:
    """Where scripts of Debian packages make the cache again, and over a spec that lists others."""
    lock = lock_of(PLAIN, *TORCH_12)
    (step,) = listed(lock, VENV)
    scripts = dataclasses.replace(lock, apt={"packages": [], "scripts": ["x"]})
    assert [*listed(scripts, VENV)] == []
    path = {"PATH": "/opt/venv/bin:/usr/bin"}
    whole = with_cuda(path, lock, VENV, "12.6", [])["LD_LIBRARY_PATH"]
    assert whole.endswith(":".join(step.folders))
    more = lock_of(PLAIN, *TORCH_12, wheel("nvidia-nccl-cu12", "2.20"))
    assert with_cuda(path, more, VENV, "12.6", [step])["LD_LIBRARY_PATH"].split(":")[2:] == [
        "/opt/venv/lib/python3.11/site-packages/nvidia/nccl/lib"
    ]


def test_what_a_base_says_is_left_alone() -> None:
    """But for PATH, which ours replaces, and the folders of wheels behind its library path."""
    env = with_cuda({"PATH": "/opt/venv/bin:/usr/bin"}, lock_of(HELD), VENV, "12.6", [])
    assert set(env) == {"PATH"}
    env = with_cuda({"PATH": "/opt/venv/bin"}, lock_of(HELD, *TORCH_12), VENV, "12.6", [])
    assert env["LD_LIBRARY_PATH"].startswith("/usr/local/nvidia/lib:/usr/local/nvidia/lib64:/opt/")
    assert "NVIDIA_REQUIRE_CUDA" not in env


def test_an_index_may_be_named_after_the_version() -> None:
    """So that one spec, or one matrix, serves several."""
    spec = ImageSpec(cuda="12.6", pip_extra_index_url=["https://index.example/whl/{cuda}"])
    assert completed(spec).pip_extra_index_url == ("https://index.example/whl/cu126",)
    assert completed(completed(spec)) == completed(spec)


def test_the_table_is_whole() -> None:
    """Each version has a major version, images, and wheels of some framework."""
    for version, release in table.releases().items():
        assert release.major.number == int(version.partition(".")[0])
        assert release.release.startswith(f"{version}.")
        assert release.wheels
    tags = [each.reference for each in table.images()]
    assert len(set(tags)) == len(tags)
    assert "nvidia/cuda:12.6.3-cudnn-runtime-ubuntu22.04" in tags
    assert "nvidia/cuda:12.2.2-cudnn8-devel-ubuntu22.04" in tags
    assert "nvidia/cuda:12.8.2-cudnn-runtime-ubuntu22.04" not in tags
