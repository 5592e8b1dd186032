# HRDA on DAFormer's network (Hoyer et al., ECCV 2022): a context of 1024² at half size and a detail of 512², one
# backbone and one decoder for both, and an attention head. 85.69 M parameters.
_base_ = './daformer_mitb5.py'
model = dict(
    type='HRDASegmentor',
    detail_crop=(512, 512),
    detail_weight=0.1,
    attention_head=dict(type='DAFormerHead', num_classes=19, dilations=None),
    test_cfg=dict(mode='slide', crop_size=(1024, 1024), stride=(512, 512)),
)
