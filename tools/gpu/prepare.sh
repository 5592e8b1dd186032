#!/usr/bin/env bash
# Collect what check.sh needs on a machine without a network: wheels for Python 3.12 on x86-64 Linux, and the real data.
#   tools/gpu/prepare.sh [FOLDER]     (default work_dirs/gpu_kit; add --no-data after it to skip stage real)
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
kit=${1:-$root/work_dirs/gpu_kit}
python=${PYTHON:-python3}
if [ -e "$kit" ]; then echo "error: $kit exists: remove it, or name another folder" >&2; exit 1; fi
trap 'test "$?" = 0 || rm -rf "$kit"' EXIT
mkdir -p "$kit/wheels"
platforms=()
for tag in manylinux_2_28_x86_64 manylinux_2_17_x86_64 manylinux2014_x86_64; do platforms+=(--platform "$tag"); done
"$python" -m pip download -q --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
    "${platforms[@]}" -d "$kit/wheels" -r "$root/tools/gpu/wheels.txt"
if [ "${2:-}" != --no-data ]; then "$python" "$root/tools/gpu/pack.py" "$kit/data.tar"; fi
code=$(cd "$root" && git ls-files -z | xargs -0 cat | wc -c)
for part in "$kit"/*; do printf '%8.1f MiB  %s\n' "$(du -sb "$part" | awk '{print $1 / 2^20}')" "${part#"$root"/}"; done
printf '%8.1f MiB  the repository\n' "$(awk "BEGIN {print $code / 2^20}")"
total=$(($(du -sb "$kit" | cut -f1) + code))
printf '%8.1f MiB  together\n' "$(awk "BEGIN {print $total / 2^20}")"
if [ "$total" -gt $((60 * 2 ** 20)) ]; then echo "error: more than 60 MiB: pack less with pack.py --mib" >&2; exit 1; fi
