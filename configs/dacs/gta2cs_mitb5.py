# DACS, MiT-B5 and DAFormer's decoder, GTA5 → Cityscapes (the baseline of Hoyer et al., CVPR 2022, Table 1).
# Published: –. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/dacs/gta2cs_mitb5.py
# In the paper's row, MiT-B5 has SegFormer's decoder.
_base_ = [
    '../_base_/models/daformer_mitb5.py',
    '../_base_/methods/self_training.py',
    '../_base_/datasets/gta2cs_512.py',
    '../_base_/schedules/self_training.py',
    '../_base_/default_runtime.py',
]
model = dict(_delete_=True, segmentor=_base_.model, **_base_.dacs)
