# Colour transfer and RAN (stage 2, from the checkpoint of carla2camvid_fcan_fcn.py), CARLA → CamVid on the CPU: AAN's
# 200 frames, half of the time with the mean and covariance of CamVid's colours. AAN's gain over it is what AAN adds
# beyond colour. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_fcan_ran_colour.py
_base_ = './carla2camvid_fcan_ran.py'
load, *others = _base_.train_dataloader.dataset.source.pipeline
crop, resize = _base_.crop, _base_.resize
colour = dict(type='ColourTransfer', target='data/camvid/train/images', read=[load, crop, resize], prob=0.5)
train_dataloader = dict(
    dataset=dict(source=dict(indices=[i * 1984 // 200 for i in range(200)], pipeline=[load, colour, *others]))
)
