# GTA5 → BDD100K for FCAN: the crops of gta2cs_fcan.py.
_base_ = './gta2bdd.py'
crop = [dict(type='RandomCrop', crop_size=(512, 1024)), dict(type='RandomFlip', prob=0.5), dict(type='PackSegInputs')]
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        source=dict(pipeline=[*_base_.source_pipeline[:-1], *crop]),
        target=dict(pipeline=[*_base_.target_pipeline[:-1], *crop]),
    ),
)
