# Colour transfer at test time, CARLA → CamVid on the CPU: source-only training, and test images get the mean and
# covariance of CARLA's colours. Not run yet.
#   python tools/train.py configs/real/carla2camvid_target_colour.py
# Or test a snapshot of carla2camvid_source_only.py:
#   python tools/test.py configs/real/carla2camvid_target_colour.py CHECKPOINT
_base_ = './carla2camvid_source_only.py'
load, *rest = _base_.test_pipeline  # uses the colours of the test image after crop and resize
crop, resize, *rest = rest
colour = dict(type='ColourTransfer', target='data/carla/images')
test_pipeline = [load, crop, resize, colour, *rest]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
