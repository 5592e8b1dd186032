# AdaptSegNet, multi-level, Cityscapes → Cross-City Tokyo, 13 classes (Tsai et al., CVPR 2018).
# Published mIoU 49.9 (no adaptation 47.7). Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/adaptseg/cs2tokyo_multilevel.py
_base_ = './cs2rome_multilevel.py'
train_dataloader = dict(dataset=dict(target=dict(city='Tokyo')))
val_dataloader = dict(dataset=dict(city='Tokyo'))
test_dataloader = val_dataloader
