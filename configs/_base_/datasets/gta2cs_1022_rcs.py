# As gta2cs_504_rcs.py at full resolution: crops of 1022², margins of Cityscapes' images as in HRDA.
_base_ = './gta2cs_504_rcs.py'
crop_size = (1022, 1022)
source_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadLabels'),
    dict(type='Resize', scale=(2560, 1440), keep_ratio=True),
    dict(_base_.rare_class_crop, crop_size=crop_size, min_pixels=6000),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
resize = dict(type='Resize', scale=(2044, 1022), keep_ratio=True)
target_pipeline = [
    dict(type='LoadImage'),
    dict(type='PseudoLabelMargins', top=30, bottom=240, left=30, right=30),  # in the 2048×1024 image
    resize,
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackValidPixels'),
]
test_pipeline = [dict(type='LoadImage'), resize, dict(type='LoadLabels'), dict(type='PackSegInputs')]
tta_pipeline = [
    dict(type='LoadImage'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(resize, scale=scale) for scale in ((2044, 1022), (2548, 1274))],
            *_base_.tta_pipeline[1].transforms[1:],
        ],
    ),
]
train_dataloader = dict(dataset=dict(source=dict(pipeline=source_pipeline), target=dict(pipeline=target_pipeline)))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
