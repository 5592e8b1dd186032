# GTA5 → Cityscapes for FCAN, which trains in batches: crops of one size for both domains. Crop and augmentation are
# not known. The 8 images of stage 2's batch are read as 4 of the source and 4 of the target.
_base_ = './gta2cs.py'
crop = [dict(type='RandomCrop', crop_size=(512, 1024)), dict(type='RandomFlip', prob=0.5), dict(type='PackSegInputs')]
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        source=dict(
            pipeline=[
                dict(type='LoadImage'),
                dict(type='LoadLabels'),
                dict(type='Resize', scale=(1280, 720), keep_ratio=False, interpolation='bicubic', backend='pillow'),
                *crop,
            ]
        ),
        target=dict(
            pipeline=[
                dict(type='LoadImage'),
                dict(type='Resize', scale=(1024, 512), keep_ratio=False, interpolation='bicubic', backend='pillow'),
                *crop,
            ]
        ),
    ),
)
