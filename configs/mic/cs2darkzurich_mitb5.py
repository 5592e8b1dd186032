# MIC with DAFormer, MiT-B5, Cityscapes → Dark Zurich (not in the paper's tables, which have MIC with HRDA).
# Published: –. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/mic/cs2darkzurich_mitb5.py
# As in MIC's release of MIC with HRDA: a source and a target image are masked, without augmentation, and no margins.
_base_ = '../daformer/cs2darkzurich_mitb5.py'
model = dict(type='MIC', ignore_top=0, ignore_bottom=0, mask=dict(_base_.mask, of='both'))
