# Only the BN statistics are adapted, Cityscapes → IDD-Lite on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/cs2idd_target_bn.py
_base_ = './cs2idd_singlelevel.py'
model = dict(discriminator=dict(_delete_=True), lambda_adv=dict(_delete_=True))
optim_wrapper = dict(discriminator=dict(_delete_=True))
