# Appearance and output space on one backbone, GTA5 → Cityscapes: source images in the target's style (AAN; Zhang et
# al., CVPR 2018, arXiv 1804.08286) and multi-level AdaptSegNet (Tsai et al., CVPR 2018).
# Published: no number for this pair (AAN + RAN: 46.21). Ours: not run (needs the data sets and a GPU).
#   python tools/render_aan.py configs/adaptseg/gta2cs_multilevel_aan.py --source data/gta/images \
#     --target data/cityscapes/leftImg8bit/train --out data/aan/gta2cs
#   python tools/train.py configs/adaptseg/gta2cs_multilevel_aan.py
_base_ = ['./gta2cs_multilevel.py', '../_base_/aan/gta2cs.py']
load, *rest = _base_.source_pipeline
source_pipeline = [load, dict(type='AANStyleTransfer', renders='data/aan/gta2cs', prob=0.5), *rest]
train_dataloader = dict(dataset=dict(source=dict(pipeline=source_pipeline)))
