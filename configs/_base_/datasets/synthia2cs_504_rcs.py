# SYNTHIA (labelled) and Cityscapes (images only), as gta2cs_504_rcs.py; SYNTHIA's 1280×760 are not resized.
_base_ = './gta2cs_504_rcs.py'
source_pipeline = [dict(step, scale=(1280, 760)) if step.type == 'Resize' else step for step in _base_.source_pipeline]
train_dataloader = dict(
    dataset=dict(source=dict(_delete_=True, type='SYNTHIADataset', data_root='data/synthia', pipeline=source_pipeline))
)
val_evaluator = dict(  # SYNTHIA has no terrain, truck or train
    without=dict(
        mIoU16=('terrain', 'truck', 'train'),
        mIoU13=('wall', 'fence', 'pole', 'terrain', 'truck', 'train'),
    )
)
test_evaluator = val_evaluator
