# DACS, CARLA → CamVid on the CPU, on the 200 frames that the AAN configs render. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_200_dacs.py
_base_ = './carla2camvid_dacs.py'
chosen = [i * 1984 // 200 for i in range(200)]
train_dataloader = dict(dataset=dict(source=dict(indices=chosen)))
