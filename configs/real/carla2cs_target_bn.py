# Only the BN statistics are adapted, CARLA → Cityscapes on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2cs_target_bn.py
_base_ = './carla2cs_singlelevel.py'
model = dict(discriminator=dict(_delete_=True), lambda_adv=dict(_delete_=True))
optim_wrapper = dict(discriminator=dict(_delete_=True))
