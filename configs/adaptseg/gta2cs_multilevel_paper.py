# AdaptSegNet, multi-level, GTA5 → Cityscapes, as in the paper's text, not the released code: four dilation rates,
# Nesterov momentum, every parameter updated once per iteration, D's scores upsampled to the image.
# Published mIoU 42.4 (of the released code). Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/adaptseg/gta2cs_multilevel_paper.py
_base_ = './gta2cs_multilevel.py'
model = dict(
    segmentor=dict(decode_head=dict(dilations=(6, 12, 18, 24)), auxiliary_head=dict(dilations=(6, 12, 18, 24))),
    discriminator=dict(decode=dict(upsample=True), aux=dict(upsample=True)),
)
optim_wrapper = dict(
    segmentor=dict(
        optimizer=dict(type='SGD', nesterov=True),
        paramwise_cfg=dict(
            custom_keys=dict(_delete_=True, decode_head=dict(lr_mult=10), auxiliary_head=dict(lr_mult=10))
        ),
    )
)
