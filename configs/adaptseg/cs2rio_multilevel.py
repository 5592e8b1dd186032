# AdaptSegNet, multi-level, Cityscapes → Cross-City Rio, 13 classes (Tsai et al., CVPR 2018).
# Published mIoU 51.6 (no adaptation 48.2). Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/adaptseg/cs2rio_multilevel.py
_base_ = './cs2rome_multilevel.py'
train_dataloader = dict(dataset=dict(target=dict(city='Rio')))
val_dataloader = dict(dataset=dict(city='Rio'))
test_dataloader = val_dataloader
