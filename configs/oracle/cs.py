# Oracle: supervised training on Cityscapes itself (Tsai et al., CVPR 2018, "oracle"): the upper bound.
# Published mIoU 65.1. Ours: not run (needs the data set and a GPU).
#   python tools/train.py configs/oracle/cs.py
_base_ = '../source_only/gta2cs.py'
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadLabels'),
    dict(type='Resize', scale=(1024, 512), keep_ratio=False, interpolation='bicubic', backend='pillow'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='CityscapesLabelsDataset',
        data_root='data/cityscapes',
        data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train'),
        pipeline=train_pipeline,
    )
)
