#!/usr/bin/env bash
# Train under Slurm, on one node or several: tools/slurm_train.sh CONFIG GPUS_PER_NODE [arguments of train.py]
#   sbatch --nodes=2 --gres=gpu:4 --cpus-per-task=20 --requeue --signal=TERM@120 tools/slurm_train.sh CONFIG 4 --resume auto
# One task per node starts torchrun. Two minutes before the time limit, or when the job is preempted, the ranks get
# SIGTERM, save a checkpoint and stop. --resume auto continues from it, or starts a new run if there is none yet.
set -euo pipefail
TOOLS=${TOOLS:-${SLURM_SUBMIT_DIR:-.}/tools}  # sbatch runs a copy of this file from elsewhere
MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export MASTER_ADDR PORT=${PORT:-$((20000 + SLURM_JOB_ID % 20000))}
exec srun --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 --kill-on-bad-exit=1 \
    bash -c 'NNODES=$SLURM_JOB_NUM_NODES NODE_RANK=$SLURM_NODEID exec bash "$0"/dist_train.sh "$@"' "$TOOLS" "$@"
