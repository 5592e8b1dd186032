# MIC with HRDA, MiT-B5, Cityscapes → Dark Zurich (Hoyer et al., CVPR 2023).
# Published: –.
# Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/mic/cs2darkzurich_hrda_mitb5.py
# As released, a source and a target image are masked, without augmentation.
_base_ = '../hrda/cs2darkzurich_mitb5.py'
model = dict(type='MIC', mask=dict(_base_.mask, block=64, of='both'))
