# CARLA (rendered, labelled) → Cityscapes at 256×128 (1,500 images without labels for training; the first 200 of 500
# labelled images for testing). Three shared classes. docs/real_images.md gives the data's source and layout on disk.
classes = ('other', 'road', 'sidewalk')
metainfo = dict(classes=classes, palette=[[70, 70, 70], [128, 64, 128], [244, 35, 232]])
carla_ids = {0: 0, 1: 1, 2: 2, 3: 1, 255: 255}  # road marking (3) is road
cityscapes_ids = {**dict.fromkeys(range(19), 0), 0: 1, 1: 2, 255: 255}
resize = dict(type='Resize', scale=(160, 80), keep_ratio=False, interpolation='bicubic', backend='pillow')
rare_class_order = dict(type='RareClassOrder', temperature=0.1, min_pixels=200)  # for carla2cs_*_rcs

source_pipeline = [dict(type='LoadImage'), dict(type='LoadLabels'), resize, dict(type='PackSegInputs')]
target_pipeline = [dict(type='LoadImage'), resize, dict(type='PackSegInputs')]
test_pipeline = [dict(type='LoadImage'), resize, dict(type='LoadLabels'), dict(type='PackSegInputs')]

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
            data_root='data/cityscapes_small',
            data_prefix=dict(img_path='images/train'),
            img_suffix='.jpg',
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
        data_root='data/cityscapes_small',
        data_prefix=dict(img_path='images/val', seg_map_path='labels/val'),
        img_suffix='.jpg',
        metainfo=metainfo,
        id_map=cityscapes_ids,
        indices=200,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='ClassIoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
