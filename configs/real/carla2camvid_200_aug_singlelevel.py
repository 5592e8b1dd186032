# AdaptSegNet, single-level, the source flipped and its colours varied, CARLA → CamVid on the CPU, on the 200 frames
# that the AAN configs render. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_200_aug_singlelevel.py
_base_ = './carla2camvid_aug_singlelevel.py'
train_dataloader = dict(dataset=dict(source=dict(indices=[i * 1984 // 200 for i in range(200)])))
