# AdaptSegNet, multi-level, Cityscapes → Cross-City Taipei, 13 classes (Tsai et al., CVPR 2018).
# Published mIoU 49.1 (no adaptation 46.5). Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/adaptseg/cs2taipei_multilevel.py
_base_ = './cs2rome_multilevel.py'
train_dataloader = dict(dataset=dict(target=dict(city='Taipei')))
val_dataloader = dict(dataset=dict(city='Taipei'))
test_dataloader = val_dataloader
