# DACS, the source flipped and its colours varied, CARLA → CamVid on the CPU, on the 200 frames that the AAN configs
# render. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_200_aug_dacs.py
_base_ = './carla2camvid_200_dacs.py'
*load, pack = _base_.source_pipeline
train_dataloader = dict(dataset=dict(source=dict(pipeline=[*load, *_base_.augment, pack])))
