# Cityscapes in IDD-Lite's style, at its size, 256×128.
_base_ = './thin_r50.py'
aan = dict(
    content=[dict(type='LoadImage'), dict(type='Resize', scale=(256, 128), keep_ratio=False)],
    style=[dict(type='LoadImage'), dict(type='Resize', scale=(256, 144), keep_ratio=False)],
)
