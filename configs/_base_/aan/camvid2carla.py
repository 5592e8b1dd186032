# The other direction, for testing: CamVid's frames in CARLA's style. They are rendered whole, at the scale of which
# the test pipeline crops 160×80.
_base_ = './thin_r50.py'
aan = dict(
    content=[
        dict(type='LoadImage'),
        dict(type='Resize', scale=(160, 120), keep_ratio=False, interpolation='bicubic', backend='pillow'),
    ],
    style=[dict(type='LoadImage')],
)
