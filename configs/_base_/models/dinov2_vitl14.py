# DINOv2's ViT-L/14 with the decoder of dinov2_vitb14.py; 307.3 M parameters.
_base_ = './dinov2_vitb14.py'
model = dict(
    backbone=dict(
        model_name='vit_large_patch14_dinov2', init_cfg=dict(checkpoint='pretrained/dinov2_vitl14_pretrain.pth')
    ),
    decode_head=dict(in_channels=1024),
)
