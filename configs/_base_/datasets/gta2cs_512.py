# GTA5 (labelled) and Cityscapes (images only), as DAFormer's release reads them: half resolution, crops of 512², flips.
# OpenCV's bilinear; the ratio is kept, so GTA5's 1914×1052 becomes 1280×704.
_base_ = './gta2cs.py'
source_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadLabels'),
    dict(type='Resize', scale=(1280, 720), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(512, 512), cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
resize = dict(type='Resize', scale=(1024, 512), keep_ratio=True)
target_pipeline = [
    dict(type='LoadImage'),
    resize,
    dict(type='RandomCrop', crop_size=(512, 512)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [dict(type='LoadImage'), resize, dict(type='LoadLabels'), dict(type='PackSegInputs')]
tta_pipeline = [
    dict(type='LoadImage'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(resize, scale=(int(1024 * r), int(512 * r))) for r in (1.0, 0.5, 0.75, 1.25, 1.5, 1.75)],
            *_base_.tta_pipeline[1].transforms[1:],
        ],
    ),
]
train_dataloader = dict(
    batch_size=2,
    dataset=dict(source=dict(pipeline=source_pipeline), target=dict(pipeline=target_pipeline)),
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
