# CARLA's frames in CamVid's style, at their size, 160×80; from CamVid, the box used in training.
_base_ = './thin_r50.py'
aan = dict(
    content=[dict(type='LoadImage')],
    style=[
        dict(type='LoadImage'),
        dict(type='CropBox', top=52, bottom=212),
        dict(type='Resize', scale=(160, 80), keep_ratio=False, interpolation='bicubic', backend='pillow'),
    ],
)
