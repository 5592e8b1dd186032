# HRDA on the DeepLabV2 of DAFormer's and HRDA's releases. The attention head is another
# such classifier, as released.
_base_ = './deeplabv2_r101v1c.py'
model = dict(
    type='HRDASegmentor',
    detail_crop=(512, 512),
    detail_weight=0.1,
    attention_head=_base_.model.decode_head,
    test_cfg=dict(mode='slide', crop_size=(1024, 1024), stride=(512, 512)),
)
