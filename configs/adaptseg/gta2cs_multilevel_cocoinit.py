# AdaptSegNet, multi-level, GTA5 → Cityscapes, from the authors' own initialisation (ImageNet + COCO), which is no
# longer online. If you have DeepLab_resnet_pretrained_init-f81d91e8.pth, convert it once:
#   python tools/model_converters/adaptsegnet.py DeepLab_resnet_pretrained_init-f81d91e8.pth weights/deeplab_init.pth
# Published mIoU 42.4. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/adaptseg/gta2cs_multilevel_cocoinit.py
_base_ = './gta2cs_multilevel.py'
model = dict(
    segmentor=dict(
        backbone=dict(init_cfg=dict(checkpoint='weights/deeplab_init.pth', prefix='segmentor.backbone.')),
    )
)
