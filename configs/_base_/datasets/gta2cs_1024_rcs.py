# GTA5 (labelled, rare class sampling) and Cityscapes (images only) at full resolution, as HRDA's and MIC's releases
# read them: crops of 1024², a class of at least 6000 pixels in a crop, and no pseudo-labels at the borders of
# Cityscapes' images. The ratio is kept, so GTA5's 1914×1052 becomes 2560×1407.
_base_ = './gta2cs_512_rcs.py'
crop_size = (1024, 1024)
source_resize = dict(type='Resize', scale=(2560, 1440), keep_ratio=True)
rare_class_crop = dict(_base_.rare_class_crop, crop_size=crop_size, min_pixels=6000)
source_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadLabels'),
    source_resize,
    rare_class_crop,
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
resize = dict(type='Resize', scale=(2048, 1024), keep_ratio=True)
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
            [dict(resize, scale=(int(2048 * r), int(1024 * r))) for r in (1.0, 0.75, 1.25)],
            *_base_.tta_pipeline[1].transforms[1:],
        ],
    ),
]
train_dataloader = dict(dataset=dict(source=dict(pipeline=source_pipeline), target=dict(pipeline=target_pipeline)))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
