# DINOv2's ViT-S/14 with the decoder of dinov2_vitb14.py; 23.5 M parameters.
_base_ = './dinov2_vitb14.py'
model = dict(
    backbone=dict(
        model_name='vit_small_patch14_dinov2', init_cfg=dict(checkpoint='pretrained/dinov2_vits14_pretrain.pth')
    ),
    decode_head=dict(in_channels=384),
)
