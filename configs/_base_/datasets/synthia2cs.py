# SYNTHIA (labelled) and Cityscapes (images only) for training, Cityscapes val for testing. SYNTHIA has no terrain,
# truck or train: the 16-class mIoU leaves them out, and the papers' 13-class mIoU also leaves out wall, fence and pole.
_base_ = './gta2cs.py'
source_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadLabels'),
    dict(type='Resize', scale=(1280, 760), keep_ratio=False, interpolation='bicubic', backend='pillow'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    dataset=dict(source=dict(_delete_=True, type='SYNTHIADataset', data_root='data/synthia', pipeline=source_pipeline))
)
val_evaluator = dict(
    without=dict(
        mIoU16=('terrain', 'truck', 'train'),
        mIoU13=('wall', 'fence', 'pole', 'terrain', 'truck', 'train'),
    )
)
test_evaluator = val_evaluator
