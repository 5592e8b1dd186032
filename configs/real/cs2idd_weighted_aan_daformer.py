# AAN and DAFormer's parts, and rare classes weigh more in the loss, Cityscapes → IDD-Lite on the CPU: the 200 images of
# cs2idd_aan_source_only, half of the time in IDD-Lite's style. Ours: docs/results.md.
#   python tools/train.py configs/real/cs2idd_weighted_aan_daformer.py    (renders: cs2idd_aan_source_only.py)
_base_ = './cs2idd_weighted_daformer.py'
load, *rest = _base_.source_pipeline
source_pipeline = [load, dict(type='AANStyleTransfer', renders='data/aan/cs2idd', prob=0.5), *rest]
rendered = [i * 1500 // 200 for i in range(200)]  # what --count 200 selects of 1500
train_dataloader = dict(dataset=dict(source=dict(indices=rendered, pipeline=source_pipeline)))
