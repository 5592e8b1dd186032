# CARLA (rendered, labelled) → Cityscapes at 256×128 (1,500 images without labels for training; the first 200 of 500
# labelled images for testing). Three shared classes. docs/real_images.md says where the data come from and how they
# lie on disk.
_base_ = './carla2camvid.py'
cityscapes_ids = {**dict.fromkeys(range(19), 0), 0: 1, 1: 2, 255: 255}
rare_class_order = dict(type='RareClassOrder', temperature=0.1, min_pixels=200)  # of carla2cs_*_rcs
target_pipeline = [dict(type='LoadImage'), _base_.resize, dict(type='PackSegInputs')]
test_pipeline = [dict(type='LoadImage'), _base_.resize, dict(type='LoadLabels'), dict(type='PackSegInputs')]
tta_pipeline = [_base_.tta_pipeline[0], _base_.tta_pipeline[2]]  # without CamVid's crop
cityscapes = dict(data_root='data/cityscapes_small', img_suffix='.jpg')

train_dataloader = dict(
    dataset=dict(target=dict(**cityscapes, data_prefix=dict(img_path='images/train'), pipeline=target_pipeline))
)
val_dataloader = dict(
    dataset=dict(
        **cityscapes,
        data_prefix=dict(img_path='images/val', seg_map_path='labels/val'),
        id_map={'_delete_': True, **cityscapes_ids},
        indices=200,
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader
