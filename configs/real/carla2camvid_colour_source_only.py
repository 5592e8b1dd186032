# Colour transfer alone, CARLA → CamVid on the CPU: source-only training on AAN's 200 frames, half of the time with the
# mean and covariance of CamVid's colours. This is not AAN; AAN's gain over it is what AAN adds beyond colour.
# Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_colour_source_only.py
_base_ = './carla2camvid_source_only.py'
load, *rest = _base_.source_pipeline
crop, resize = _base_.crop, _base_.resize
colour = dict(type='ColourTransfer', target='data/camvid/train/images', read=[load, crop, resize], prob=0.5)
chosen = [i * 1984 // 200 for i in range(200)]  # the frames that carla2camvid_aan_* render
train_dataloader = dict(dataset=dict(indices=chosen, pipeline=[load, colour, *rest]))
