# FCAN, AAN and RAN (stage 2, from the checkpoint of carla2camvid_fcan_fcn.py), CARLA → CamVid on the CPU: 200 of
# the source's images, half of them as they are and half in CamVid's style at any time. Ours: docs/results.md.
#   python tools/render_aan.py configs/_base_/aan/carla2camvid.py --source data/carla/images \
#     --target data/camvid/train/images --out data/aan/carla2camvid --count 200
#   python tools/train.py configs/real/carla2camvid_fcan_ran_aan.py
_base_ = './carla2camvid_fcan_ran.py'
load, *others = _base_.train_dataloader.dataset.source.pipeline
aan = dict(type='AANStyleTransfer', renders='data/aan/carla2camvid', prob=0.5)
train_dataloader = dict(
    dataset=dict(source=dict(indices=[i * 1984 // 200 for i in range(200)], pipeline=[load, aan, *others]))
)
