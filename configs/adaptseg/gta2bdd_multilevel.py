# AdaptSegNet, multi-level, GTA5 → BDD100K.
# Published: none on this split. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/adaptseg/gta2bdd_multilevel.py
_base_ = [
    '../_base_/models/adaptsegnet_multilevel_r101.py',
    '../_base_/datasets/gta2bdd.py',
    '../_base_/schedules/adaptsegnet.py',
    '../_base_/default_runtime.py',
]
