# AAN and DACS, CARLA → CamVid on the CPU: 200 frames, half of the time in CamVid's style. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_aan_dacs.py    (renders: carla2camvid_aan_singlelevel.py)
_base_ = './carla2camvid_dacs.py'
load, *rest = _base_.source_pipeline
source_pipeline = [load, dict(type='AANStyleTransfer', renders='data/aan/carla2camvid', prob=0.5), *rest]
rendered = [i * 1984 // 200 for i in range(200)]  # what --count 200 selects of 1984
train_dataloader = dict(dataset=dict(source=dict(indices=rendered, pipeline=source_pipeline)))
