# DACS as its own release trains it, DeepLabV2-ResNet-101, GTA5 → Cityscapes (Tranheden et al., WACV 2021, Table 1).
# Published mIoU 52.1 (as cited in DAFormer's README; the released model: peak 53.66, end 53.04).
# Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/dacs/gta2cs_released.py
# Scored as in the release, at 1024×512 against labels of that size; the release keeps its best snapshot. It starts
# from an ImageNet + COCO file, as adaptseg/gta2cs_multilevel_cocoinit.py does; this config starts from ImageNet's.
_base_ = [
    '../_base_/models/deeplabv2_r101.py',
    '../_base_/datasets/gta2cs.py',
    '../_base_/schedules/adaptsegnet.py',
    '../_base_/default_runtime.py',
]
model = dict(
    _delete_=True,
    type='DACS',
    segmentor=_base_.model,
    alpha=0.99,
    pseudo_threshold=0.968,
    mix='image',
    teacher_follows='last',
    jitter=dict(strength=0.25, prob=0.8),
    blur=dict(prob=0.5),
)
crop = dict(type='RandomCrop', crop_size=(512, 512))
half = dict(type='Resize', scale=(1024, 512), keep_ratio=False, backend='pillow')  # bilinear; GTA5's is bicubic
test_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadLabels'),
    half,
    dict(type='ScoreAtThisSize'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        source=dict(pipeline=[*_base_.source_pipeline[:-1], crop, dict(type='PackSegInputs')]),
        target=dict(pipeline=[dict(type='LoadImage'), half, crop, dict(type='PackSegInputs')]),
    ),
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(discriminator=dict(_delete_=True))
train_cfg = dict(max_iters=250_000)
