#!/usr/bin/env bash
# Train on several GPUs (or, without a GPU, in several CPU processes): tools/dist_train.sh CONFIG N [arguments of train.py]
# Several nodes: set NNODES, NODE_RANK and MASTER_ADDR on each (Slurm: slurm_train.sh); set PORT for a second job on a node.
set -euo pipefail
CONFIG=${1:?usage: tools/dist_train.sh CONFIG N [arguments of train.py]}
GPUS=${2:?usage: tools/dist_train.sh CONFIG N [arguments of train.py]}
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
"${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" --nproc_per_node="$GPUS" \
    "$(dirname "$0")/train.py" "$CONFIG" --launcher pytorch "${@:3}" &
launcher=$!
# A scheduler's signal is passed to the ranks, which save and exit with 0 (PreemptionHook's signals: SIGTERM by default).
# torchrun itself would kill them after 30 seconds. Before the ranks have started, torchrun handles the signal.
for name in TERM USR1 USR2; do
    trap "stopped=1; pkill -$name -P $launcher || kill -$name $launcher || true" "$name"
done
while :; do  # a trap ends wait
    stopped=
    status=0
    wait "$launcher" || status=$?
    [ -n "$stopped" ] || exit "$status"
done
