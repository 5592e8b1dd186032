# GTA5 (labelled) and BDD100K (images only) for training, BDD100K's 1,000 validation images for testing. This is
# BDD100K's own segmentation split, not the "BDDS" split of the FCAN paper.
_base_ = './gta2cs.py'
bdd_root = 'data/bdd100k'
resize = dict(type='Resize', scale=(1280, 720), keep_ratio=False, interpolation='bicubic', backend='pillow')
target_pipeline = [dict(type='LoadImage'), resize, dict(type='PackSegInputs')]
tta_pipeline = [
    dict(type='LoadImage'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(resize, scale=(int(1280 * r), int(720 * r))) for r in (1.0, 0.5, 0.75, 1.25, 1.5, 1.75)],
            *_base_.tta_pipeline[1].transforms[1:],
        ],
    ),
]
train_dataloader = dict(
    dataset=dict(
        target=dict(
            _delete_=True,
            type='BDD100KDataset',
            data_root=bdd_root,
            data_prefix=dict(img_path='images/10k/train'),
            pipeline=target_pipeline,
        )
    )
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='BDD100KDataset',
        data_root=bdd_root,
        data_prefix=dict(img_path='images/10k/val', seg_map_path='labels/sem_seg/masks/val'),
        pipeline=[dict(type='LoadImage'), resize, dict(type='LoadLabels'), dict(type='PackSegInputs')],
    )
)
test_dataloader = val_dataloader
