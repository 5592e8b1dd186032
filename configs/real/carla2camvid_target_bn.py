# Only the BN statistics are adapted, CARLA → CamVid on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_target_bn.py
_base_ = './carla2camvid_singlelevel.py'
model = dict(
    segmentor=dict(backbone=dict(norm_eval=False)), discriminator=dict(_delete_=True), lambda_adv=dict(_delete_=True)
)
optim_wrapper = dict(discriminator=dict(_delete_=True))
