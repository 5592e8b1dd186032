# AdaptSegNet, single-level, CARLA → CamVid on the CPU, on the 200 frames that the AAN configs render. Ours:
# docs/results.md.
#   python tools/train.py configs/real/carla2camvid_200_singlelevel.py
_base_ = './carla2camvid_singlelevel.py'
chosen = [i * 1984 // 200 for i in range(200)]
train_dataloader = dict(dataset=dict(source=dict(indices=chosen)))
default_hooks = dict(checkpoint=dict(max_keep_ckpts=-1))  # DACS starts from its middle snapshot
