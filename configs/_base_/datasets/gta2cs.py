# GTA5 (labelled) and Cityscapes (images only) for training, Cityscapes val for testing; AdaptSegNet's sizes.
# Pillow's bicubic is the antialiased one, which the released code uses.
gta_root = 'data/gta'
cityscapes_root = 'data/cityscapes'

source_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadLabels'),
    dict(type='Resize', scale=(1280, 720), keep_ratio=False, interpolation='bicubic', backend='pillow'),
    dict(type='PackSegInputs'),
]
target_pipeline = [
    dict(type='LoadImage'),
    dict(type='Resize', scale=(1024, 512), keep_ratio=False, interpolation='bicubic', backend='pillow'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImage'),
    dict(type='Resize', scale=(1024, 512), keep_ratio=False, interpolation='bicubic', backend='pillow'),
    dict(type='LoadLabels'),  # after Resize: scored against the full-resolution ground truth
    dict(type='PackSegInputs'),
]
tta_pipeline = [  # tools/test.py --tta: multi-scale and flip; pictures show the first scale
    dict(type='LoadImage'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(test_pipeline[1], scale=(int(1024 * r), int(512 * r))) for r in (1.0, 0.5, 0.75, 1.25, 1.5, 1.75)],
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            [dict(type='LoadLabels')],
            [dict(type='PackSegInputs')],
        ],
    ),
]
train_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DomainPairSampler'),
    dataset=dict(
        type='DomainPairDataset',
        source=dict(type='GTADataset', data_root=gta_root, pipeline=source_pipeline),
        target=dict(
            type='CityscapesDataset',
            data_root=cityscapes_root,
            data_prefix=dict(img_path='leftImg8bit/train'),
            pipeline=target_pipeline,
        ),
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CityscapesLabelsDataset',
        data_root=cityscapes_root,
        data_prefix=dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='ClassIoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
