# AAN in VGG-16 fine-tuned on edges (docs/real_images.md): the network that looks at renders in tools/analysis/benchmark_aan.py.
_base_ = './vgg16.py'
aan = dict(
    encoder=dict(init_cfg=dict(_delete_=True, type='Pretrained', checkpoint='weights/vgg16_hed_features.pth')),
)
