# FCAN, AAN and RAN (stage 2, from the checkpoint of streets_fcan_fcn.py), on the two generated domains of the
# demo. Ours: docs/results.md.
#   python tools/render_aan.py configs/_base_/aan/streets.py --source data/streets/source/images \
#     --target data/streets/target/train/images --out data/aan/streets
#   python tools/train.py configs/demo/streets_fcan_ran_aan.py
_base_ = './streets_fcan_ran.py'
load, *others = _base_.source_pipeline
aan = dict(type='AANStyleTransfer', renders='data/aan/streets', prob=0.5)
train_dataloader = dict(dataset=dict(source=dict(pipeline=[load, aan, *others])))
