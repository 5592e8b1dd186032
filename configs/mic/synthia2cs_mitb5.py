# MIC with DAFormer, MiT-B5, SYNTHIA → Cityscapes (not in the papers' tables).
# Published: –. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/mic/synthia2cs_mitb5.py
_base_ = '../daformer/synthia2cs_mitb5.py'
model = dict(type='MIC', mask=_base_.mask)
