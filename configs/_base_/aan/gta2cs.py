# GTA5 in Cityscapes' style at 1280×720, the source's training size.
_base_ = './resnet50.py'
aan = dict(
    content=[
        dict(type='LoadImage'),
        dict(type='Resize', scale=(1280, 720), keep_ratio=False, interpolation='bicubic', backend='pillow'),
    ],
    style=[
        dict(type='LoadImage'),
        dict(type='Resize', scale=(1024, 512), keep_ratio=False, interpolation='bicubic', backend='pillow'),
    ],
)
