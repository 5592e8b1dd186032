# Cityscapes at 256×128 (labelled) → IDD-Lite, India, at 256×144 (1,403 images without labels for training, 204 with
# labels for testing). Seven classes. docs/real_images.md gives the data's source and layout on disk.
classes = ('drivable', 'non-drivable', 'living', 'vehicles', 'roadside', 'far', 'sky')
metainfo = dict(
    classes=classes,
    palette=[[128, 64, 128], [244, 35, 232], [220, 20, 60], [0, 0, 142], [220, 220, 0], [70, 70, 70], [70, 130, 180]],
)
cityscapes_ids = {  # train id → class
    **{0: 0, 1: 1, 9: 1, 11: 2, 12: 2},  # road; sidewalk, terrain; person, rider
    **{13: 3, 14: 3, 15: 3, 16: 3, 17: 3, 18: 3},  # car, truck, bus, train, motorcycle, bicycle
    **{3: 4, 4: 4, 5: 4, 6: 4, 7: 4},  # wall, fence, pole, light, sign
    **{2: 5, 8: 5, 10: 6, 255: 255},  # building, vegetation; sky
}
idd_ids = {**{i: i for i in range(7)}, 255: 255}
crop = dict(type='RandomCrop', crop_size=(128, 256))  # the same for both domains, as mixing requires
flip = dict(type='RandomFlip', prob=0.5)
augment = [dict(type='PhotoMetricDistortion')]  # the source in *_aug_*

source_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadLabels'),
    dict(type='Resize', scale=(256, 128), keep_ratio=False),
    flip,
    dict(type='PackSegInputs'),
]
resize = dict(type='Resize', scale=(256, 144), keep_ratio=False)
target_pipeline = [dict(type='LoadImage'), resize, crop, flip, dict(type='PackSegInputs')]
labelled_target_pipeline = [  # for the oracle
    dict(type='LoadImage'),
    dict(type='LoadLabels'),
    resize,
    crop,
    flip,
    dict(type='PackSegInputs'),
]
test_pipeline = [dict(type='LoadImage'), resize, dict(type='LoadLabels'), dict(type='PackSegInputs')]

rare_class_order = dict(type='RareClassOrder', temperature=0.1, min_pixels=200)  # for cs2idd_*_rcs
# for cs2idd_weighted_*: about (share of the source's pixels)^(-1/4), with a mean over pixels of 1
class_weight = [0.88, 1.33, 2.03, 1.31, 1.59, 0.87, 1.54]

train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='DomainPairSampler'),
    dataset=dict(
        type='DomainPairDataset',
        source=dict(
            type='IdMappedDataset',
            data_root='data/cityscapes_small',
            data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
            img_suffix='.jpg',
            metainfo=metainfo,
            id_map=cityscapes_ids,
            pipeline=source_pipeline,
        ),
        target=dict(
            type='IdMappedDataset',
            data_root='data/idd_lite',
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
        data_root='data/idd_lite',
        data_prefix=dict(img_path='images/val', seg_map_path='labels/val'),
        img_suffix='.jpg',
        metainfo=metainfo,
        id_map=idd_ids,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='ClassIoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
