# MinEnt, Cityscapes → IDD-Lite on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/cs2idd_minent.py
_base_ = './cs2idd_singlelevel.py'
model = dict(_delete_=True, type='MinEnt', segmentor=_base_.model.segmentor, lambda_ent=dict(decode=0.005))
optim_wrapper = dict(discriminator=dict(_delete_=True))
