# As gta2cs_512.py, with rare class sampling (DAFormer, Sec. 3.3): draw a class, an image and a crop that show it.
_base_ = './gta2cs_512.py'
rare_class_crop = dict(type='RareClassCrop', crop_size=(512, 512), cat_max_ratio=0.75, min_pixels=1500)
rare_class_order = dict(type='RareClassOrder', temperature=0.01, min_pixels=3000)
source_pipeline = [rare_class_crop if step.type == 'RandomCrop' else step for step in _base_.source_pipeline]
train_dataloader = dict(
    sampler=dict(orders=dict(source=rare_class_order)), dataset=dict(source=dict(pipeline=source_pipeline))
)
