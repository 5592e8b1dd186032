# Oracle: supervised on CamVid's own labels, tested like the others. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_oracle.py
_base_ = './carla2camvid_source_only.py'
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadLabels'),
    dict(type='CropBox', top=52, bottom=212),
    dict(type='Resize', scale=(160, 80), keep_ratio=False, interpolation='bicubic', backend='pillow'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    dataset=dict(
        _delete_=True, **dict(_base_.val_dataloader.dataset, data_root='data/camvid/train', pipeline=train_pipeline)
    )
)
