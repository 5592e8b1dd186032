# An adversarial start, then DACS: 150 iterations of AdaptSegNet and 150 of DACS, CARLA → CamVid on the CPU, on 200
# frames. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_200_singlelevel.py
#   python tools/train.py configs/real/carla2camvid_200_singlelevel_dacs.py
_base_ = './carla2camvid_200_dacs.py'
load_from = 'work_dirs/carla2camvid_200_singlelevel/iter_150.pth'
train_cfg = dict(max_iters=150)
param_scheduler = [dict(_base_.param_scheduler[0], end=151)]
