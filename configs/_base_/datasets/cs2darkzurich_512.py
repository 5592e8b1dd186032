# Cityscapes (labelled, rare class sampling) and Dark Zurich's night (images only; its train set has no labels), as
# cs2acdc_512.py; Dark Zurich val, 50 images, for testing. The published numbers come from the test server.
_base_ = './cs2acdc_512.py'
train_dataloader = dict(
    dataset=dict(
        target=dict(
            _delete_=True,
            type='DarkZurichDataset',
            data_root='data/dark_zurich',
            data_prefix=dict(img_path='rgb_anon/train/night'),
            pipeline=_base_.target_pipeline,
        )
    )
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='DarkZurichDataset',
        data_root='data/dark_zurich',
        data_prefix=dict(img_path='rgb_anon/val', seg_map_path='gt/val'),
        pipeline=_base_.test_pipeline,
    )
)
test_dataloader = val_dataloader
