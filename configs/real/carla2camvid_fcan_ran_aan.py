# FCAN's AAN + RAN (stage 2, from the checkpoint of carla2camvid_fcan_fcn.py), CARLA → CamVid on the CPU.
# The source images in CamVid's style are made by tools/render_aan.py. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_fcan_ran_aan.py
_base_ = './carla2camvid_fcan_ran.py'
load, *others = _base_.train_dataloader.dataset.source.pipeline
aan = dict(type='AANStyleTransfer', renders='data/renders/carla2camvid')
train_dataloader = dict(dataset=dict(source=dict(pipeline=[load, aan, *others])))
