# FCAN whole, RAN on source images adapted by AAN, GTA5 → BDD100K
# (Zhang et al., CVPR 2018, ablation table, "AAN + RAN").
# Published: none on this split (the paper has its own split, "BDDS"). Ours: not run (needs the data sets and a GPU).
# Stage 2, from work_dirs/gta2cs_fcn/iter_30000.pth (gta2cs_fcn.py).
#   python tools/render_aan.py configs/fcan/gta2bdd_ran_aan.py --source data/gta/images \
#     --target data/bdd100k/images/10k/train --out data/aan/gta2bdd
#   python tools/train.py configs/fcan/gta2bdd_ran_aan.py
_base_ = ['./gta2bdd_ran.py', '../_base_/aan/gta2bdd.py']
load, *others = _base_.train_dataloader.dataset.source.pipeline
renders = dict(type='AANStyleTransfer', renders='data/aan/gta2bdd')
train_dataloader = dict(dataset=dict(source=dict(pipeline=[load, renders, *others])))
