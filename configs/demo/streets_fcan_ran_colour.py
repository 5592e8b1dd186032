# Colour transfer and RAN (stage 2, from the checkpoint of streets_fcan_fcn.py), on the two generated domains of the
# demo. AAN's gain over it is what AAN adds beyond colour. Ours: docs/results.md.
#   python tools/train.py configs/demo/streets_fcan_ran_colour.py
_base_ = './streets_fcan_ran.py'
load, *others = _base_.source_pipeline
colour = dict(type='ColourTransfer', target='data/streets/target/train/images', prob=0.5)
train_dataloader = dict(dataset=dict(source=dict(pipeline=[load, colour, *others])))
