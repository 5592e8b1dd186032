#!/usr/bin/env bash
# Source distribution → wheel → a fresh environment → two iterations of training in an empty folder.
# .ci/wheel.sh PYTHON   (`make wheel-check`, with STACK=onedl for the other stack)
# The fresh environment finds PyTorch and the stack where PYTHON has them, so nothing is downloaded. It does not find
# PYTHON's editable install: Python ignores .pth files in a folder that is itself named by a .pth file.
set -euo pipefail
python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/tree" "$folder/sdist" "$folder/empty"

build() {  # FOLDER KIND
    (cd "$1" && "$python" -c 'import sys; from setuptools import build_meta as b; getattr(b, sys.argv[1])(sys.argv[2])' \
        "$2" "$folder") > "$folder/build.log" 2>&1 || { cat "$folder/build.log"; exit 1; }
}

git ls-files -z -co --exclude-standard | tar --null -T - --ignore-failed-read -c | tar -x -C "$folder/tree"
build "$folder/tree" build_sdist
tar -xzf "$folder"/*.tar.gz -C "$folder/sdist" --strip-components 1
build "$folder/sdist" build_wheel

"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --no-index --no-deps "$folder"/*.whl
packages=$("$folder/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$python" -c 'import site; print(*site.getsitepackages(), sep="\n")' > "$packages/stack.pth"

cd "$folder/empty"
unset PYTHONPATH
export PATH="$folder/venv/bin:$PATH" OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore
python - "$packages" <<'PYTHON'
import sys
from pathlib import Path

import mmseg_adapt
from mmseg_adapt.demo import streets

assert Path(mmseg_adapt.__file__).is_relative_to(sys.argv[1]), f'imported from {mmseg_adapt.__file__}'
streets.write('data/streets', source=4, target=4, val=2)
PYTHON
mmseg-adapt train demo/streets_multilevel --cfg-options train_cfg.max_iters=2 train_cfg.val_interval=2 \
    default_hooks.checkpoint.interval=2 > train.log 2>&1 || { cat train.log; exit 1; }
test -f work_dirs/streets_multilevel/iter_2.pth
echo "$(basename "$folder"/*.whl) installs, and trains in an empty folder"
