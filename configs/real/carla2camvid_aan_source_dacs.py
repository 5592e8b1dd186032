# AAN, then DACS: 300 iterations of DACS from source-only training on AAN's frames, CARLA → CamVid on the CPU. Ours:
# docs/results.md.
#   python tools/train.py configs/real/carla2camvid_aan_source_only.py    (renders: carla2camvid_aan_singlelevel.py)
#   python tools/train.py configs/real/carla2camvid_aan_source_dacs.py
_base_ = './carla2camvid_aan_dacs.py'
load_from = 'work_dirs/carla2camvid_aan_source_only/iter_300.pth'
