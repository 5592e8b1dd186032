# GTA5 → Cityscapes for FCAN, which trains in batches: crops of one size for both domains. The paper does not give crop
# and augmentation. We take the 8 images of stage 2's batch as 4 of the source and 4 of the target.
_base_ = './gta2cs.py'
crop = [dict(type='RandomCrop', crop_size=(512, 1024)), dict(type='RandomFlip', prob=0.5), dict(type='PackSegInputs')]
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        source=dict(pipeline=[*_base_.source_pipeline[:-1], *crop]),
        target=dict(pipeline=[*_base_.target_pipeline[:-1], *crop]),
    ),
)
