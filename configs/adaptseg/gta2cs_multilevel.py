# AdaptSegNet, multi-level, GTA5 → Cityscapes (Tsai et al., CVPR 2018, Table 1, "Ours (multi-level)").
# Published mIoU 42.4. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/adaptseg/gta2cs_multilevel.py
# Follows the released code as it behaves in today's PyTorch; the paper's text: gta2cs_multilevel_paper.py. The PyTorch
# of 2018, which printed the published number, decayed repeated tensors more (three listings: 1 + 2 + 3 times):
#   --cfg-options optim_wrapper.segmentor.optimizer.decay=cumulative
_base_ = [
    '../_base_/models/adaptsegnet_multilevel_r101.py',
    '../_base_/datasets/gta2cs.py',
    '../_base_/schedules/adaptsegnet.py',
    '../_base_/default_runtime.py',
]
