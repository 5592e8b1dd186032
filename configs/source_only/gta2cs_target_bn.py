# Only the BN statistics are adapted, GTA5 → Cityscapes: the single-level game without an opponent. Target images
# are forwarded in training mode, which updates the running statistics; they contribute no gradient.
# Published: not in the paper; λ_adv = 0 in the released code gives about 41. Ours: not run (needs data and a GPU).
#   python tools/train.py configs/source_only/gta2cs_target_bn.py
_base_ = '../adaptseg/gta2cs_singlelevel.py'
model = dict(discriminator=dict(_delete_=True), lambda_adv=dict(_delete_=True))
optim_wrapper = dict(discriminator=dict(_delete_=True))
