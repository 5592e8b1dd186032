# Two generated domains of street scenes (mmseg_adapt/demo/streets.py), 8 classes, 96×192. Written by
#   python -m mmseg_adapt.demo.streets data/streets
data_root = 'data/streets'
metainfo = dict(
    classes=('road', 'sidewalk', 'building', 'pole', 'vegetation', 'sky', 'person', 'car'),
    palette=[
        [128, 64, 128],
        [244, 35, 232],
        [70, 70, 70],
        [220, 220, 0],
        [107, 142, 35],
        [70, 130, 180],
        [220, 20, 60],
        [0, 0, 142],
    ],
)
ids = {i: i for i in range(8)}
source_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadLabels'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
target_pipeline = [dict(type='LoadImage'), dict(type='RandomFlip', prob=0.5), dict(type='PackSegInputs')]
test_pipeline = [dict(type='LoadImage'), dict(type='LoadLabels'), dict(type='PackSegInputs')]
tta_pipeline = [  # tools/test.py --tta: multi-scale and flip; pictures show the first scale
    dict(type='LoadImage'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='Resize', scale_factor=r, keep_ratio=True) for r in (1.0, 0.5, 0.75, 1.25, 1.5, 1.75)],
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            [dict(type='LoadLabels')],
            [dict(type='PackSegInputs')],
        ],
    ),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='DomainPairSampler'),
    dataset=dict(
        type='DomainPairDataset',
        source=dict(
            type='IdMappedDataset',
            data_root=data_root,
            data_prefix=dict(img_path='source/images', seg_map_path='source/labels'),
            img_suffix='.png',
            metainfo=metainfo,
            id_map=ids,
            pipeline=source_pipeline,
        ),
        target=dict(
            type='IdMappedDataset',
            data_root=data_root,
            data_prefix=dict(img_path='target/train/images'),
            img_suffix='.png',
            metainfo=metainfo,
            pipeline=target_pipeline,
        ),
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='IdMappedDataset',
        data_root=data_root,
        data_prefix=dict(img_path='target/val/images', seg_map_path='target/val/labels'),
        img_suffix='.png',
        metainfo=metainfo,
        id_map=ids,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='ClassIoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
