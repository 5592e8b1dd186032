# MinEnt, multi-level, SYNTHIA → Cityscapes (Vu et al., CVPR 2019, Table 1).
# Published mIoU 38.1 (16 classes) and 44.2 (13 classes). Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/advent/synthia2cs_minent.py
_base_ = './synthia2cs_advent.py'
model = dict(
    _delete_=True,
    type='MinEnt',
    segmentor=_base_.model.segmentor,
    lambda_ent=dict(decode=0.001, aux=0.0002),
)
optim_wrapper = dict(discriminator=dict(_delete_=True))
