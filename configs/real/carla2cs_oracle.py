# Oracle: supervised on Cityscapes' own labels, tested like the others. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2cs_oracle.py
_base_ = './carla2cs_source_only.py'
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        **dict(
            _base_.val_dataloader.dataset,
            data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
            indices=None,
            pipeline=_base_.source_pipeline,
        ),
    )
)
