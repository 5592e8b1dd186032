# DACS, MiT-B5 and DAFormer's decoder, SYNTHIA → Cityscapes (not in the papers' tables).
# Published: –. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/dacs/synthia2cs_mitb5.py
_base_ = [
    '../_base_/models/daformer_mitb5.py',
    '../_base_/methods/self_training.py',
    '../_base_/datasets/synthia2cs_512.py',
    '../_base_/schedules/self_training.py',
    '../_base_/default_runtime.py',
]
model = dict(_delete_=True, segmentor=_base_.model, **_base_.dacs)
