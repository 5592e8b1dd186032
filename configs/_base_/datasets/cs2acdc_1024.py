# Cityscapes (labelled, rare class sampling) and ACDC (images only) at full resolution, as HRDA's and MIC's releases
# read them: crops of 1024², no margins. ACDC val for testing; the published numbers come from the test server.
_base_ = './cs2acdc_512.py'
crop_size = (1024, 1024)
resize_cityscapes = dict(type='Resize', scale=(2048, 1024), keep_ratio=True)
resize = dict(type='Resize', scale=(1920, 1080), keep_ratio=True)
rare_class_crop = dict(_base_.rare_class_crop, crop_size=crop_size, min_pixels=6000)
source_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadLabels'),
    resize_cityscapes,
    rare_class_crop,
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
target_pipeline = [
    dict(type='LoadImage'),
    resize,
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [dict(type='LoadImage'), resize, dict(type='LoadLabels'), dict(type='PackSegInputs')]
tta_pipeline = [
    dict(type='LoadImage'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(resize, scale=(int(1920 * r), int(1080 * r))) for r in (1.0, 0.75, 1.25)],
            *_base_.tta_pipeline[1].transforms[1:],
        ],
    ),
]
train_dataloader = dict(dataset=dict(source=dict(pipeline=source_pipeline), target=dict(pipeline=target_pipeline)))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
