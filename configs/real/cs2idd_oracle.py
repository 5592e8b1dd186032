# Oracle: supervised on IDD-Lite's own labels, tested like the others. Ours: docs/results.md.
#   python tools/train.py configs/real/cs2idd_oracle.py
_base_ = './cs2idd_source_only.py'
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        **dict(
            _base_.val_dataloader.dataset,
            data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
            pipeline=_base_.labelled_target_pipeline,
        ),
    )
)
