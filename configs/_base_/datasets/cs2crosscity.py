# Cityscapes (labelled) and a city of Cross-City (3 200 images without labels for training, 100 with labels for
# testing): the 13 classes that both have. Set the city in train_dataloader, val_dataloader and test_dataloader.
cityscapes_root = 'data/cityscapes'
cross_city_root = 'data/cross_city'
metainfo = dict(
    classes=(
        *('road', 'sidewalk', 'building', 'traffic light', 'traffic sign', 'vegetation', 'sky'),
        *('person', 'rider', 'car', 'bus', 'motorcycle', 'bicycle'),
    )
)
resize = dict(type='Resize', scale=(1024, 512), keep_ratio=False, interpolation='bicubic', backend='pillow')
source_pipeline = [dict(type='LoadImage'), dict(type='LoadLabels'), resize, dict(type='PackSegInputs')]
target_pipeline = [dict(type='LoadImage'), resize, dict(type='PackSegInputs')]
test_pipeline = [dict(type='LoadImage'), resize, dict(type='LoadLabels'), dict(type='PackSegInputs')]
tta_pipeline = [  # tools/test.py --tta: multi-scale and flip; pictures show the first scale
    dict(type='LoadImage'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(resize, scale=(int(1024 * r), int(512 * r))) for r in (1.0, 0.5, 0.75, 1.25, 1.5, 1.75)],
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
        source=dict(
            type='CityscapesLabelsDataset',
            data_root=cityscapes_root,
            data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train'),
            metainfo=metainfo,
            pipeline=source_pipeline,
        ),
        target=dict(type='CrossCityDataset', data_root=cross_city_root, city='Rome', pipeline=target_pipeline),
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='CrossCityDataset', data_root=cross_city_root, city='Rome', split='Test', pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='ClassIoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
