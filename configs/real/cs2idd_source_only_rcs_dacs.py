# A start on the source, then DACS, both with rare class sampling, Cityscapes → IDD-Lite on the CPU: 150 iterations of
# cs2idd_source_only_rcs and 150 of DACS at half the learning rate. Ours: docs/results.md.
#   python tools/train.py configs/real/cs2idd_source_only_rcs.py
#   python tools/train.py configs/real/cs2idd_source_only_rcs_dacs.py
_base_ = './cs2idd_dacs_rcs.py'
load_from = 'work_dirs/cs2idd_source_only_rcs/iter_150.pth'
optim_wrapper = dict(segmentor=dict(optimizer=dict(lr=5e-3)))
train_cfg = dict(max_iters=150)
param_scheduler = [dict(_base_.param_scheduler[0], end=151)]
