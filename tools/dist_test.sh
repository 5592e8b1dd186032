#!/usr/bin/env bash
# Test on several GPUs (or, without a GPU, in several CPU processes): tools/dist_test.sh CONFIG CHECKPOINT N [arguments of test.py]
# Several nodes: set NNODES, NODE_RANK and MASTER_ADDR on each (Slurm: slurm_train.sh); set PORT for a second job on a node.
set -euo pipefail
CONFIG=${1:?usage: tools/dist_test.sh CONFIG CHECKPOINT N [arguments of test.py]}
CHECKPOINT=${2:?usage: tools/dist_test.sh CONFIG CHECKPOINT N [arguments of test.py]}
GPUS=${3:?usage: tools/dist_test.sh CONFIG CHECKPOINT N [arguments of test.py]}
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" --nproc_per_node="$GPUS" \
    "$(dirname "$0")/test.py" "$CONFIG" "$CHECKPOINT" --launcher pytorch "${@:4}"
