# Colour transfer and RAN, GTA5 → Cityscapes: source images with the mean and covariance of the target's colours. Not in
# the paper; AAN's gain over it is what AAN adds beyond colour.
# Published mIoU: none. Ours: not run (needs the data sets and a GPU).
# Stage 2, from work_dirs/gta2cs_fcn/iter_30000.pth (gta2cs_fcn.py).
#   python tools/train.py configs/fcan/gta2cs_ran_colour.py
_base_ = './gta2cs_ran.py'
load, *others = _base_.train_dataloader.dataset.source.pipeline
colour = dict(type='ColourTransfer', target='data/cityscapes/leftImg8bit/train')
train_dataloader = dict(dataset=dict(source=dict(pipeline=[load, colour, *others])))
