# Cityscapes (labelled, rare class sampling) and ACDC (images only) at half resolution, as DAFormer's release reads
# them; ACDC val for testing. The published numbers come from the test server: ACDC's test labels are not public.
_base_ = './gta2cs_512_rcs.py'
resize_cityscapes = dict(type='Resize', scale=(1024, 512), keep_ratio=True)
resize = dict(type='Resize', scale=(960, 540), keep_ratio=True)
source_pipeline = [resize_cityscapes if step.type == 'Resize' else step for step in _base_.source_pipeline]
target_pipeline = [resize if step.type == 'Resize' else step for step in _base_.target_pipeline]
test_pipeline = [dict(type='LoadImage'), resize, dict(type='LoadLabels'), dict(type='PackSegInputs')]
tta_pipeline = [
    dict(type='LoadImage'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(resize, scale=(int(960 * r), int(540 * r))) for r in (1.0, 0.5, 0.75, 1.25, 1.5, 1.75)],
            *_base_.tta_pipeline[1].transforms[1:],
        ],
    ),
]
train_dataloader = dict(
    dataset=dict(
        source=dict(
            _delete_=True,
            type='CityscapesLabelsDataset',
            data_root='data/cityscapes',
            data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train'),
            pipeline=source_pipeline,
        ),
        target=dict(_delete_=True, type='ACDCDataset', data_root='data/acdc', split='train', pipeline=target_pipeline),
    )
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ACDCDataset',
        data_root='data/acdc',
        split='val',
        data_prefix=dict(img_path='rgb_anon', seg_map_path='gt'),
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader
