# DAFormer, MiT-B5, Cityscapes → Dark Zurich (Hoyer et al., extension, arXiv 2304.13615).
# Published mIoU 53.8 (test server; the authors' README).
# Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/daformer/cs2darkzurich_mitb5.py
_base_ = [
    '../_base_/models/daformer_mitb5.py',
    '../_base_/methods/self_training.py',
    '../_base_/datasets/cs2darkzurich_512.py',
    '../_base_/schedules/self_training.py',
    '../_base_/default_runtime.py',
]
model = dict(_delete_=True, segmentor=_base_.model, **_base_.daformer)
