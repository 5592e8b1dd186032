# RAN on FCAN's network (Zhang et al., CVPR 2018, Sec. 3.2), from the weights of stage 1.
_base_ = './fcn_psp_r101.py'
model = dict(
    _delete_=True,
    type='RAN',
    segmentor=dict(
        _base_.model,
        backbone=dict(_base_.model.backbone, init_cfg=None),
        init_cfg=dict(type='Pretrained', checkpoint='work_dirs/gta2cs_fcn/iter_30000.pth'),
    ),
    discriminator=dict(backbone=dict(type='RegionDiscriminator', in_channels=2048)),
    lambda_adv=dict(backbone=0.2),  # 1/λ: the paper weights the segmentation loss by λ = 5 against the adversarial one
)
