#!/usr/bin/env bash
# All checks that need a GPU, in one command. See tools/gpu/README.md.
#   tools/gpu/check.sh --out work_dirs/gpu [--stages tests,speed,aan] [--device cpu --tiny]
set -euo pipefail
exec "${PYTHON:-python3}" "$(dirname "$0")/run.py" "$@"
