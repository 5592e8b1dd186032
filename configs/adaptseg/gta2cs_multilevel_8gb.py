# AdaptSegNet, multi-level, GTA5 → Cityscapes, on an 8 GB card: the activations of conv4's 23 blocks are recomputed
# in the backward pass. Training equals that of gta2cs_multilevel.py at its published sizes, with 4.4 GiB instead of
# 7.1 at the peak, without the CUDA context and workspaces (docs/long_runs.md, tools/analysis/memory.py).
# Published mIoU 42.4. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/adaptseg/gta2cs_multilevel_8gb.py
_base_ = './gta2cs_multilevel.py'
default_hooks = dict(small_card=dict(type='ActivationCheckpointHook', blocks=('backbone.layer3',)))
