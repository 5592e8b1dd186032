# AAN in VGG-16 fine-tuned on edges (docs/real_images.md): tools/analysis/benchmark_aan.py judges renders by it.
_base_ = './vgg16.py'
aan = dict(
    encoder=dict(init_cfg=dict(_delete_=True, type='Pretrained', checkpoint='weights/vgg16_hed_features.pth')),
)
