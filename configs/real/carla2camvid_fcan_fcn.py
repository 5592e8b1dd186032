# FCAN's ablation, stage 1 ("FCN": source only), CARLA → CamVid on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_fcan_fcn.py
_base_ = './carla2camvid_source_only.py'
train_cfg = dict(max_iters=200)
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=201, by_epoch=False)]
