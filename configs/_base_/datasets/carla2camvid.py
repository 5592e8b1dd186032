# CARLA (rendered, labelled) → CamVid (driven, 305 images without labels for training, 101 with labels for testing).
# Three shared classes. docs/real_images.md gives the data's source and layout on disk.
classes = ('other', 'road', 'sidewalk')
metainfo = dict(classes=classes, palette=[[70, 70, 70], [128, 64, 128], [244, 35, 232]])
carla_ids = {0: 0, 1: 1, 2: 2, 3: 1, 255: 255}  # road marking (3) is road
camvid_ids = {0: 0, 1: 0, 2: 0, 3: 1, 4: 2, 5: 0, 6: 0, 7: 0, 8: 0, 9: 0, 10: 0, 255: 255}
resize = dict(type='Resize', scale=(160, 80), keep_ratio=False, interpolation='bicubic', backend='pillow')
crop = dict(type='CropBox', top=52, bottom=212)  # CARLA's frames are 2:1, CamVid's 4:3
augment = [dict(type='RandomFlip', prob=0.5), dict(type='PhotoMetricDistortion')]  # the source in *_aug_*

source_pipeline = [dict(type='LoadImage'), dict(type='LoadLabels'), resize, dict(type='PackSegInputs')]
target_pipeline = [dict(type='LoadImage'), crop, resize, dict(type='PackSegInputs')]
test_pipeline = [dict(type='LoadImage'), crop, resize, dict(type='LoadLabels'), dict(type='PackSegInputs')]

tta_pipeline = [  # tools/test.py --tta: multi-scale and flip; pictures show the first scale
    dict(type='LoadImage'),
    crop,
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(resize, scale=(int(160 * r), int(80 * r))) for r in (1.0, 0.5, 0.75, 1.25, 1.5, 1.75)],
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
            data_root='data/carla',
            data_prefix=dict(img_path='images', seg_map_path='labels'),
            img_suffix='.png',
            metainfo=metainfo,
            id_map=carla_ids,
            pipeline=source_pipeline,
        ),
        target=dict(
            type='IdMappedDataset',
            data_root='data/camvid/train',
            data_prefix=dict(img_path='images'),
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
        data_root='data/camvid/val',
        data_prefix=dict(img_path='images', seg_map_path='labels'),
        img_suffix='.png',
        metainfo=metainfo,
        id_map=camvid_ids,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='ClassIoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
